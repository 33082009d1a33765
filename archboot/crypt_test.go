package archboot

import (
	"os/exec"
	"strings"
	"testing"
)

func TestSHA512Crypt(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not here to compare with")
	}
	for _, password := range []string{"a", "101010", "Hello world!", strings.Repeat("x", 63), strings.Repeat("y", 64), strings.Repeat("é", 90)} {
		for _, rounds := range []int{1000, 5000, 10001} {
			salt := cryptSalt()
			got := sha512Crypt([]byte(password), salt, rounds)
			parts := strings.Split(got, "$")
			cmd := exec.Command(openssl, "passwd", "-6", "-stdin", "-salt", parts[2]+"$"+salt)
			cmd.Stdin = strings.NewReader(password + "\n")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimSpace(string(out)); got != want {
				t.Errorf("password %q, salt %q, %d rounds:\ngot  %s\nwant %s", password, salt, rounds, got, want)
			}
		}
	}
}
