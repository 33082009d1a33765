package archboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// What is read of a repository's database, and how long that may take before the
// next server is asked.
const (
	maxDatabase  = 512 << 20
	stateTimeout = 30 * time.Second
)

// mirrorState returns a short hash that changes whenever one of the repositories
// does. It reads the databases' signatures, which are small, or the databases where
// there are none.
func mirrorState(ctx context.Context, c Config) (string, error) {
	c = c.withDefaults()
	repositories := c.Repositories
	if repositories == nil {
		var err error
		if repositories, err = hostRepositories(); err != nil {
			return "", err
		}
	}
	h := sha256.New()
	for _, r := range repositories {
		sum, err := repositoryState(ctx, r, c.Architecture)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %x\n", r.Name, sum)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// repositoryState asks one server after the other.
func repositoryState(ctx context.Context, r Repository, arch string) ([]byte, error) {
	var errs []error
	for _, server := range r.Servers {
		dir := strings.NewReplacer("$repo", r.Name, "$arch", arch).Replace(strings.TrimSuffix(server, "/"))
		database := dir + "/" + r.Name + ".db"
		for _, location := range []string{database + ".sig", database} {
			sum, err := sumOf(ctx, location)
			if err == nil {
				return sum, nil
			}
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, errors.Join(errs...)
}

func sumOf(ctx context.Context, location string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stateTimeout, fmt.Errorf("%w: %s took longer than %v", ErrMirror, location, stateTimeout))
	defer cancel()
	body, err := open(ctx, location)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(body, maxDatabase)); err != nil {
		return nil, downloadError(ctx, location, err)
	}
	return h.Sum(nil), nil
}
