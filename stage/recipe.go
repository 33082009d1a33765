package stage

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"
)

// keyVersion changes when keys are computed differently, so that no snapshot is
// taken for what it is not.
const keyVersion = "rig stage key 1"

// Recipe collects what decides a stage's result. The hash of it is the stage's key,
// and comparing two of them explains why a stage runs again.
type Recipe struct {
	// Ingredients are in the order in which they were added.
	Ingredients []Ingredient

	ctx    context.Context
	hasher *hasher
	secret *secrets
	prefix string
	faults []error
}

// Ingredient is one named part of a [Recipe].
type Ingredient struct {
	// Name says what it is, such as "step 2: command".
	Name string

	// Digest is the SHA-256 of the value in hexadecimal, or the HMAC of a secret.
	Digest string

	// Text is the value itself or, for files, one line for each. It is empty for
	// secrets, for binary data and for what is longer than 1 MiB.
	Text string `json:",omitempty"`

	// Files says that Text lists files.
	Files bool `json:",omitempty"`
}

const maxIngredientText = 1 << 20

// Text adds a value.
func (r *Recipe) Text(name, value string) {
	sum := sha256.Sum256([]byte(value))
	in := Ingredient{Name: r.prefix + name, Digest: hex.EncodeToString(sum[:])}
	if len(value) <= maxIngredientText && utf8.ValidString(value) {
		in.Text = value
	}
	r.Ingredients = append(r.Ingredients, in)
}

// File adds a file or a tree of the host, by content, mode and owner. Its timestamps
// do not matter. Content that did not change since an earlier run is not read again.
func (r *Recipe) File(name, path string) { r.files(name, path, true) }

// Content adds a file or a tree of the host by content and mode only, for a step
// that sets the owner itself.
func (r *Recipe) Content(name, path string) { r.files(name, path, false) }

func (r *Recipe) files(name, path string, owner bool) {
	text, err := r.hasher.manifest(r.ctx, path, owner)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%s%s: %w", r.prefix, name, err))
		return
	}
	r.Text(name, text)
	r.Ingredients[len(r.Ingredients)-1].Files = true
}

// Secret adds a secret by its name. Only an HMAC under a key of the lab is kept.
func (r *Recipe) Secret(name, secret string) {
	mac, err := r.secret.mac(r.ctx, secret)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%s%s: %w", r.prefix, name, err))
		return
	}
	r.Ingredients = append(r.Ingredients, Ingredient{Name: r.prefix + name, Digest: mac})
}

// key returns the hash of the whole recipe.
func (r *Recipe) key() (string, error) {
	if len(r.faults) > 0 {
		return "", errors.Join(r.faults...)
	}
	h := sha256.New()
	write := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	write(keyVersion)
	for _, in := range r.Ingredients {
		write(in.Name)
		write(in.Digest)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// recipe returns the recipe of one stage. Checks, time-outs, the name and Doc are
// left out on purpose.
func (st Stage) recipe(ctx context.Context, parent string, needs map[string]string, h *hasher, s *secrets) *Recipe {
	r := &Recipe{ctx: ctx, hasher: h, secret: s}
	r.Text("parent", parent)
	for _, need := range st.Needs {
		r.Text("need "+need, needs[need])
	}
	for i, step := range st.Steps {
		r.prefix = fmt.Sprintf("step %d: ", i+1)
		r.Text("kind", fmt.Sprintf("%T", step))
		step.Ingredients(r)
	}
	r.prefix = ""
	for _, in := range st.Inputs {
		in.ingredients(r)
	}
	return r
}
