// examples/go/embed as a user runs it, from the repository's root, with a real tunnel at its other end.
package example

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

const patience = 120 * time.Second // it is compiled first

// start runs the example and gives its lines; it is ended by Ctrl-C, and has to end well.
func start(t *testing.T, arguments ...string) <-chan string {
	t.Helper()
	command := exec.Command("go", append([]string{"run", "./examples/go/embed"}, arguments...)...)
	command.Dir = "../../.."
	command.Env = append(os.Environ(), "GOWORK=") // the workspace at the root
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C goes to the whole group
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
		close(lines)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGINT)
		late := time.AfterFunc(patience, func() { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
		defer late.Stop()
		last := ""
		for last = range lines {
		}
		_ = command.Wait() // `go run` calls every interrupt a failure
		if last != "stopped" {
			t.Errorf("the example ended with %q", last)
		}
	})
	return lines
}

// expect gives the next line that begins so.
func expect(t *testing.T, lines <-chan string, begin string) string {
	t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case line, open := <-lines:
			if !open {
				t.Fatalf("it ended before a line %q", begin)
			}
			if strings.HasPrefix(line, begin) {
				return line
			}
		case <-timeout:
			t.Fatalf("no line %q", begin)
		}
	}
}

func readConfig(t *testing.T, file string) smartvpn.TunnelConfig {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil && strings.HasSuffix(strings.TrimSpace(string(text)), "}") {
			config, err := smartvpn.ParseTunnelConfig(text)
			if err != nil {
				t.Fatal(err)
			}
			return config
		}
		if time.Now().After(end) {
			t.Fatal("no configuration was written")
		}
	}
}

func TestAClientComesInByAProxyHeader(t *testing.T) {
	asked := make(chan string, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Query().Get("client") + " " + r.URL.Query().Get("address")
		if strings.HasPrefix(r.URL.Query().Get("address"), "203.0.113.") {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer service.Close()
	file := filepath.Join(t.TempDir(), "alice.json")
	lines := start(t, "-listen", "127.0.0.1:0", "-http", "127.0.0.1:0", "-client", file, "-decide", service.URL)
	metrics := strings.TrimPrefix(expect(t, lines, "metrics at "), "metrics at ")
	config := readConfig(t, file)
	config.Forwarding.Mode = "testing"
	config.Reconnect = &smartvpn.Reconnect{Enabled: smartvpn.Ptr(false)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	config.ProxyProtocol = &smartvpn.SendProxy{Send: "v2", Source: "203.0.113.9:1234", Destination: "192.0.2.1:443"}
	if _, err := smartvpn.Dial(ctx, config); err == nil {
		t.Fatal("the service said no, and it connected")
	}
	if question := <-asked; question != "alice 203.0.113.9:1234" {
		t.Fatal(question)
	}
	expect(t, lines, "connection_rejected  from 203.0.113.9")

	config.ProxyProtocol.Source = "198.51.100.7:5123"
	tunnel, err := smartvpn.Dial(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	expect(t, lines, "session_up alice from 198.51.100.7:5123 by 127.0.0.1:")
	if text := fetch(t, metrics); !strings.Contains(text, "\nsmartvpn_sessions{") || !strings.Contains(text, "} 1\n") {
		t.Fatal(text)
	}
	if err := tunnel.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, lines, "session_down alice from 198.51.100.7:5123")
}

func TestWithoutAServiceItDecidesItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alice.json")
	lines := start(t, "-listen", "127.0.0.1:0", "-http", "127.0.0.1:0", "-client", file)
	config := readConfig(t, file) // as it is: it sends the header itself
	config.Forwarding.Mode = "testing"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tunnel, err := smartvpn.Dial(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	expect(t, lines, "session_up alice from 127.0.0.1:")
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(fmt.Sprint(response.Status, err))
	}
	return string(text)
}
