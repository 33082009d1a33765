package nspawn

import (
	"errors"
	"io"
	"os"
)

// Output runs the command and returns its standard output. Without a Stderr of
// its own, the end of standard error is kept for an *ExitError.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, c.fail(errors.New("field Stdout is set already"))
	}
	var out buffer
	c.Stdout = &out
	if c.Stderr == nil {
		c.tail = new(tail)
		c.Stderr = c.tail
	}
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the command and returns what it wrote to both outputs.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, c.fail(errors.New("field Stdout or Stderr is set already"))
	}
	var out buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// StdinPipe returns a pipe to the command's standard input. Wait closes it, or
// the caller before, to let the command see the end.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if c.Stdin != nil {
		return nil, c.fail(errors.New("field Stdin is set already"))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, c.fail(err)
	}
	c.Stdin = r
	c.theirs, c.ours = append(c.theirs, r), append(c.ours, w)
	return w, nil
}

// StdoutPipe returns a pipe from the command's standard output. Read to its end
// before Wait, which closes it.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) {
	if c.Stdout != nil {
		return nil, c.fail(errors.New("field Stdout is set already"))
	}
	r, w, err := c.outputPipe()
	c.Stdout = w
	return r, err
}

// StderrPipe returns a pipe from the command's standard error; see StdoutPipe.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) {
	if c.Stderr != nil {
		return nil, c.fail(errors.New("field Stderr is set already"))
	}
	r, w, err := c.outputPipe()
	c.Stderr = w
	return r, err
}

func (c *Cmd) outputPipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, c.fail(err)
	}
	c.theirs, c.ours = append(c.theirs, w), append(c.ours, r)
	return r, w, nil
}

// orReader puts a file that is open in the place of none.
func orReader(r io.Reader, otherwise *os.File) io.Reader {
	if r == nil {
		return otherwise
	}
	return r
}

func orWriter(w io.Writer, otherwise *os.File) io.Writer {
	if w == nil {
		return otherwise
	}
	return w
}
