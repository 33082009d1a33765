package archboot

import (
	"crypto/rand"
	"crypto/sha512"
	"strconv"
	"strings"
)

// cryptRounds makes a guess cost some ten milliseconds, ten times what crypt(5)
// does by default.
const cryptRounds = 50_000

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// cryptSalt returns a random salt of 16 characters, the most that the method takes.
func cryptSalt() string {
	salt := make([]byte, 16)
	rand.Read(salt)
	for i, b := range salt {
		salt[i] = cryptAlphabet[b%64]
	}
	return string(salt)
}

// sha512Crypt returns the $6$ hash of crypt(5), as libxcrypt, glibc and musl
// compute it. The steps and their order are those of "Unix crypt using SHA-256
// and SHA-512", Ulrich Drepper, 2008.
func sha512Crypt(password []byte, salt string, rounds int) string {
	alternate := sha512.New()
	alternate.Write(password)
	alternate.Write([]byte(salt))
	alternate.Write(password)
	b := alternate.Sum(nil)

	first := sha512.New()
	first.Write(password)
	first.Write([]byte(salt))
	first.Write(repeatTo(b, len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 {
			first.Write(b)
		} else {
			first.Write(password)
		}
	}
	sum := first.Sum(nil)

	dp := sha512.New()
	for range password {
		dp.Write(password)
	}
	p := repeatTo(dp.Sum(nil), len(password))
	ds := sha512.New()
	for range 16 + int(sum[0]) {
		ds.Write([]byte(salt))
	}
	s := repeatTo(ds.Sum(nil), len(salt))

	h := sha512.New()
	for i := range rounds {
		h.Reset()
		h.Write(pick(i&1 != 0, p, sum))
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		h.Write(pick(i&1 != 0, sum, p))
		sum = h.Sum(sum[:0])
	}
	return "$6$rounds=" + strconv.Itoa(rounds) + "$" + salt + "$" + cryptEncode(sum)
}

func pick(first bool, a, b []byte) []byte {
	if first {
		return a
	}
	return b
}

// repeatTo returns block repeated and cut to n bytes.
func repeatTo(block []byte, n int) []byte {
	out := make([]byte, 0, n+len(block))
	for len(out) < n {
		out = append(out, block...)
	}
	return out[:n]
}

// cryptEncode writes the 64 bytes in the method's own order, in groups of three
// that move one third further and rotate, six bits a character.
func cryptEncode(sum []byte) string {
	var b strings.Builder
	group := func(v uint, chars int) {
		for range chars {
			b.WriteByte(cryptAlphabet[v&63])
			v >>= 6
		}
	}
	x, y, z := 0, 21, 42
	for range 21 {
		group(uint(sum[x])<<16|uint(sum[y])<<8|uint(sum[z]), 4)
		x, y, z = y+1, z+1, x+1
	}
	group(uint(sum[63]), 2)
	return b.String()
}
