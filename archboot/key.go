package archboot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// keyVersion changes when the same Config begins to give another root.
const keyVersion = "archboot 1\n"

// Key returns a hash of everything that decides what the root will hold, for
// filing a finished root under. Equal configurations have equal keys, in every
// process and on every machine.
//
// The password is not part of it, nor is its hash: whoever keeps roots by key
// gives each clone its password with [Identify]. Nor are Source, CacheDir,
// NetworkNamespace, Progress and Logger; nor, where MachineRepositories is set, the servers in Repositories,
// because then the root does not depend on them. What the mirror offers at the
// moment is not part of the key either.
func (c Config) Key() string {
	full := c.withDefaults()
	if c.MachineRepositories != nil {
		full.Repositories = make([]Repository, len(c.Repositories))
		for i, r := range c.Repositories {
			full.Repositories[i] = Repository{Name: r.Name, SigLevel: r.SigLevel}
		}
	}
	data, err := json.Marshal(full)
	if err != nil {
		panic("archboot: Config cannot be encoded: " + err.Error()) // only strings, numbers and addresses in it
	}
	sum := sha256.Sum256(append([]byte(keyVersion), data...))
	return hex.EncodeToString(sum[:])
}
