package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// answer makes a DNS message that answers a query with records of one type. Names in
// it point back at the question.
func answer(query []byte, kind uint16, data ...[]byte) []byte {
	m := slices.Clone(query)
	m[2] |= 0x80
	binary.BigEndian.PutUint16(m[6:], uint16(len(data)))
	for _, d := range data {
		m = append(m, 0xc0, 12)
		m = binary.BigEndian.AppendUint16(m, kind)
		m = append(m, 0, 1, 0, 0, 0, 60)
		m = binary.BigEndian.AppendUint16(m, uint16(len(d)))
		m = append(m, d...)
	}
	return m
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	query, err := newQuery(7, "gw.prolo", 1)
	if err != nil {
		t.Fatal(err)
	}
	refused := answer(query, 1)
	refused[3] = 5
	truncated := answer(query, 1)
	truncated[2] |= 2
	for _, tt := range []struct {
		name string
		m    []byte
		kind uint16
		want []string
		err  string
	}{
		{"A", answer(query, 1, []byte{192, 168, 1, 254}, []byte{10, 0, 0, 254}), 1, []string{"192.168.1.254", "10.0.0.254"}, ""},
		{"AAAA", answer(query, 28, append(make([]byte, 15), 1)), 28, []string{"::1"}, ""},
		{"name that points back", answer(query, 5, []byte{3, 'm', 'd', 'b', 0xc0, 15}), 5, []string{"mdb.prolo."}, ""},
		{"TXT", answer(query, 16, []byte{2, 'a', 'b', 1, 'c'}), 16, []string{"abc"}, ""},
		{"other type", answer(query, 5, []byte{0}), 1, nil, ""},
		{"refused", refused, 1, nil, "REFUSED"},
		{"truncated", truncated, 1, nil, errTruncated.Error()},
		{"short", query[:11], 1, nil, errMalformed.Error()},
		{"a query", query, 1, nil, errMalformed.Error()},
		{"address of three bytes", answer(query, 1, []byte{1, 2, 3}), 1, nil, errMalformed.Error()},
		{"pointer to itself", answer(query, 5, []byte{0xc0, byte(len(query) + 12)}), 5, nil, errMalformed.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseAnswer(tt.m, 7, tt.kind)
			if text := ""; err != nil && err.Error() != tt.err || err == nil && tt.err != text {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := parseAnswer(answer(query, 1), 8, 1); !errors.Is(err, errMalformed) {
		t.Errorf("answer to another query: %v", err)
	}
}

// dnsServer answers queries for A over UDP with a truncated message and over TCP whole.
func dnsServer(t *testing.T) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		udp.Close()
		t.Skipf("the same port for TCP: %v", err)
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			m := answer(buf[:n], 1)
			m[2] |= 2
			udp.WriteTo(m, from)
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 512)
			if n, err := conn.Read(buf); err == nil && n > 2 {
				m := answer(buf[2:n], 1, []byte{192, 168, 1, 254})
				conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
			}
			conn.Close()
		}
	}()
	return udp.LocalAddr().String()
}

// once is a check that is looked at once only.
type once struct{ Resolves }

func (o once) Probe(ctx context.Context, s *stage.Session) error {
	if err := o.Resolves.Probe(ctx, s); err != nil {
		return fmt.Errorf("%w, as far as a test is concerned: %w", stage.ErrInvalid, err)
	}
	return nil
}

func TestResolves(t *testing.T) {
	t.Parallel()
	server := dnsServer(t)
	dir := t.TempDir()
	v, err := stagetest.NewVolume(filepath.Join(dir, "volume"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		check Resolves
		seen  string
	}{
		{Resolves{Name: "gw.prolo", Server: server}, ""},
		{Resolves{Name: "gw.prolo", Server: server, Want: "192.168.1.254"}, ""},
		{Resolves{Name: "gw.prolo", Server: server, Want: "192.168.1.1"}, "records 192.168.1.254"},
		{Resolves{Name: "gw.prolo", Server: server, Type: "TXT"}, "no record TXT"},
	} {
		lab, err := stage.Open(
			stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "m", Stages: []stage.Stage{{
				Name: fmt.Sprint("s", i), Checks: []stage.Check{once{tt.check}},
			}}}}},
			stage.Options{StateDir: filepath.Join(dir, "state"), Targets: map[string]stage.Target{"m": {Machine: stagetest.NewMachine(v), Volume: v}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = lab.Run(context.Background(), stage.Steering{From: fmt.Sprint("s", i)})
		if (err != nil) != (tt.seen != "") || err != nil && !strings.Contains(err.Error(), tt.seen) {
			t.Errorf("%s: %v, want %q", tt.check, err, tt.seen)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	query, err := newQuery(7, "gw.prolo", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer(query, 5, []byte{3, 'm', 'd', 'b', 0xc0, 15}), uint16(5))
	f.Add(answer(query, 16, []byte{2, 'a', 'b'}), uint16(16))
	f.Fuzz(func(t *testing.T, m []byte, kind uint16) {
		values, err := parseAnswer(m, 7, kind)
		if err != nil && values != nil {
			t.Errorf("both values %q and error %v", values, err)
		}
	})
}
