// Clients come, change and go while the server runs.

package smartvpn_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func create(t testing.TB, server *smartvpn.Server, spec smartvpn.ClientSpec) *smartvpn.Credentials {
	t.Helper()
	credentials, err := server.Clients().Create(spec)
	ok(t, err)
	return credentials
}

func get(t testing.TB, server *smartvpn.Server, id string) smartvpn.Client {
	t.Helper()
	client, err := server.Clients().Get(id)
	ok(t, err)
	return client
}

// failsAt wants this error with this path.
func failsAt(t testing.TB, err error, wanted error, path string) {
	t.Helper()
	var problem *smartvpn.Error
	if !errors.As(err, &problem) || problem.Path != path {
		t.Fatalf("got %v, wanted path %q", err, path)
	}
	fails(t, err, wanted)
}

func TestACreatedClientHasEverythingItNeeds(t *testing.T) {
	server := runningServer(t, "testing")
	credentials := create(t, server, smartvpn.ClientSpec{ID: "alice", Tags: []string{"staff"}})
	public, err := smartvpn.PublicKey(credentials.PrivateKey)
	ok(t, err)
	if credentials.Client.NoisePublicKey != public || credentials.WireGuardPrivateKey != "" {
		t.Fatalf("%+v", credentials.Client)
	}
	config, err := credentials.TunnelConfig()
	ok(t, err)
	ok(t, config.Validate())
	if config.Keys.NoisePrivateKey != credentials.PrivateKey {
		t.Fatal("another key in the configuration")
	}
	if client := get(t, server, "alice"); !reflect.DeepEqual(client, credentials.Client) {
		t.Fatalf("%+v\n%+v", client, credentials.Client)
	}
	brought := create(t, server, smartvpn.ClientSpec{ID: "bob", NoisePublicKey: mustPublic(t)})
	if brought.PrivateKey != "" {
		t.Fatal("a private key of a public one")
	}
	_, err = server.Clients().Create(smartvpn.ClientSpec{ID: "carol", NoisePublicKey: brought.Client.NoisePublicKey})
	fails(t, err, smartvpn.ErrExists)
}

func mustPublic(t testing.TB) string {
	t.Helper()
	private, err := smartvpn.GenerateKey()
	ok(t, err)
	public, err := smartvpn.PublicKey(private)
	ok(t, err)
	return public
}

func TestEveryKeyButSecretsIsGivenBack(t *testing.T) {
	server := runningServer(t, "testing")
	expires := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	spec := smartvpn.ClientSpec{ID: "site", ExpiresAt: smartvpn.At(expires), Subnets: []string{"192.168.7.0/24"},
		AllowOverlap: true, Transports: []smartvpn.Transport{smartvpn.WebSocket}, SessionPolicy: "refuse-new",
		Enabled: smartvpn.Ptr(false), Priority: smartvpn.Ptr(0), Description: "d", Addresses: []string{"10.8.0.9"},
		Security: &smartvpn.ClientSecurity{DestinationBlockList: []string{"192.0.2.9"},
			RateLimit: &smartvpn.RateLimit{ToClientBytesPerSecond: 9}}}
	create(t, server, spec)
	got := get(t, server, "site")
	if !got.ExpiresAt.Equal(expires) || got.Subnets[0] != "192.168.7.0/24" || !got.AllowOverlap || *got.Enabled ||
		got.Transports[0] != smartvpn.WebSocket || got.SessionPolicy != "refuse-new" || *got.Priority != 0 || got.MaxSessions != 1 ||
		got.Security.DestinationBlockList[0] != "192.0.2.9" || got.Security.RateLimit.ToClientBytesPerSecond != 9 ||
		got.Revision != 1 || got.Rotation != nil || got.Description != "d" || got.Addresses[0] != "10.8.0.9" {
		t.Fatalf("%+v", got)
	}
}

func TestWrongClientsAreRefusedWithAPath(t *testing.T) {
	clients := runningServer(t, "testing").Clients()
	for path, spec := range map[string]smartvpn.ClientSpec{
		"/id":               {ID: "a b"},
		"/noise_public_key": {ID: "a", NoisePublicKey: "x"},
		"/addresses/0":      {ID: "a", Addresses: []string{"10.8.0.1"}},
	} {
		_, err := clients.Create(spec)
		failsAt(t, err, smartvpn.ErrInvalid, path)
	}
	_, err := clients.Create(smartvpn.ClientSpec{})
	failsAt(t, err, smartvpn.ErrInvalid, "/id")
	_, err = clients.Get("nobody")
	fails(t, err, smartvpn.ErrNotFound)
	fails(t, clients.Enable("nobody"), smartvpn.ErrNotFound)
	fails(t, clients.Disable("nobody"), smartvpn.ErrNotFound)
	fails(t, clients.Remove("nobody"), smartvpn.ErrNotFound)
	_, err = clients.Stats("nobody")
	fails(t, err, smartvpn.ErrNotFound)
}

func TestClientsAreListedSwitchedPatchedAndRemoved(t *testing.T) {
	server := runningServer(t, "testing")
	clients := server.Clients()
	list, err := clients.List()
	ok(t, err)
	if len(list) != 0 {
		t.Fatalf("%v", list)
	}
	create(t, server, smartvpn.ClientSpec{ID: "b", Tags: []string{"x", "y"}, Priority: smartvpn.Ptr(7)})
	create(t, server, smartvpn.ClientSpec{ID: "a"})
	list, err = clients.List()
	ok(t, err)
	if len(list) != 2 || list[0].ID != "a" || list[1].ID != "b" {
		t.Fatalf("%v", list)
	}
	ok(t, clients.Disable("b"))
	if *get(t, server, "b").Enabled {
		t.Fatal("enabled")
	}
	ok(t, clients.Enable("b"))
	before := get(t, server, "b")
	ok(t, clients.Update("b", smartvpn.Patch{"tags": []string{"z"}, "priority": nil}, before.Revision))
	if after := get(t, server, "b"); *after.Priority != 100 || fmt.Sprint(after.Tags) != "[z]" {
		t.Fatalf("%+v", after)
	}
	fails(t, clients.Update("b", smartvpn.Patch{"priority": 1}, before.Revision), smartvpn.ErrConflict)
	failsAt(t, clients.Update("b", smartvpn.Patch{"id": "c"}, 0), smartvpn.ErrInvalid, "/id")
	failsAt(t, clients.Update("b", smartvpn.Patch{"prio": 1}, 0), smartvpn.ErrInvalid, "/prio")
	fails(t, clients.Update("b", smartvpn.Patch{"priority": make(chan int)}, 0), smartvpn.ErrInvalid)
	fails(t, clients.Update("b", nil, 0), smartvpn.ErrInvalid)
	ok(t, clients.Remove("b"))
	_, err = clients.Get("b")
	fails(t, err, smartvpn.ErrNotFound)
	revision, err := clients.Revision()
	ok(t, err)
	if revision < 6 {
		t.Fatalf("revision %d", revision)
	}
}

func TestClientsAreAskedForInPages(t *testing.T) {
	server := runningServer(t, "testing")
	for _, id := range []string{"a", "b", "c"} {
		create(t, server, smartvpn.ClientSpec{ID: id, Tags: []string{"tag-" + id}})
	}
	query := func(q smartvpn.Query) smartvpn.Page {
		page, err := server.Clients().Query(q)
		ok(t, err)
		return page
	}
	if page := query(smartvpn.Query{}); page.Matches != 3 || page.Next != "" || page.Revision != 3 || len(page.Clients) != 3 {
		t.Fatalf("%+v", page)
	}
	if page := query(smartvpn.Query{Limit: 1, After: "a"}); page.Next != "b" || page.Clients[0].ID != "b" {
		t.Fatalf("%+v", page)
	}
	if page := query(smartvpn.Query{Tag: "tag-c", Online: smartvpn.Ptr(false), Enabled: smartvpn.Ptr(true), Text: "TAG"}); page.Matches != 1 {
		t.Fatalf("%+v", page)
	}
	_, err := server.Clients().Query(smartvpn.Query{Limit: -1})
	fails(t, err, smartvpn.ErrInvalid)
}

func TestKeysAreRotatedWithAnOverlap(t *testing.T) {
	server := runningServer(t, "testing")
	clients := server.Clients()
	first := create(t, server, smartvpn.ClientSpec{ID: "alice"})
	second, err := clients.Rotate("alice", smartvpn.RotateOptions{Overlap: smartvpn.Ptr(time.Minute)})
	ok(t, err)
	client := get(t, server, "alice")
	if second.PrivateKey == first.PrivateKey || client.Rotation == nil || client.Rotation.Seen ||
		client.Rotation.PreviousNoisePublicKey != first.Client.NoisePublicKey || time.Until(client.Rotation.Until.Time) > time.Minute {
		t.Fatalf("%+v", client)
	}
	_, err = clients.Rotate("alice", smartvpn.RotateOptions{})
	fails(t, err, smartvpn.ErrBadState)
	ok(t, clients.RotateRollBack("alice"))
	fails(t, clients.RotateRollBack("alice"), smartvpn.ErrBadState)
	if get(t, server, "alice").NoisePublicKey != first.Client.NoisePublicKey {
		t.Fatal("not rolled back")
	}
	public := mustPublic(t)
	brought, err := clients.Rotate("alice", smartvpn.RotateOptions{NoisePublicKey: public})
	ok(t, err)
	ok(t, clients.RotateCommit("alice"))
	fails(t, clients.RotateCommit("alice"), smartvpn.ErrBadState)
	if brought.PrivateKey != "" || get(t, server, "alice").NoisePublicKey != public {
		t.Fatal("not committed")
	}
	_, err = clients.Rotate("nobody", smartvpn.RotateOptions{})
	fails(t, err, smartvpn.ErrNotFound)
}

func TestExportsSayWhetherThePrivateKeyIsInThem(t *testing.T) {
	for _, keep := range []bool{false, true} {
		config := serverConfig(t, "testing")
		key, err := smartvpn.GenerateKey()
		ok(t, err)
		config.Keys.WireGuardPrivateKey = key
		config.Network.WireGuardEndpoint = "vpn.example.com:51820"
		config.Registry.KeepPrivateKeys = keep
		server := newServer(t, config)
		ok(t, server.Start())
		credentials := create(t, server, smartvpn.ClientSpec{ID: "phone"})
		if !strings.Contains(credentials.WireGuardConfig, credentials.WireGuardPrivateKey) || len(credentials.WireGuardPrivateKey) != 44 {
			t.Fatal("no WireGuard configuration")
		}
		for format, secret := range map[smartvpn.ExportFormat]string{
			smartvpn.ExportNative: credentials.PrivateKey, smartvpn.ExportWireGuard: credentials.WireGuardPrivateKey} {
			text, err := server.Clients().Export("phone", format)
			if keep {
				ok(t, err)
			} else {
				fails(t, err, smartvpn.ErrSecretNotKept)
			}
			if text == "" || strings.Contains(text, secret) != keep {
				t.Fatalf("keep %v: %s", keep, text)
			}
		}
		_, err = server.Clients().Export("phone", 7)
		fails(t, err, smartvpn.ErrInvalid)
		_, err = server.Clients().Export("nobody", smartvpn.ExportNative)
		fails(t, err, smartvpn.ErrNotFound)
	}
}

func TestBeforeStartThereIsNoRegistry(t *testing.T) {
	clients := newServer(t, serverConfig(t, "testing")).Clients()
	_, err := clients.Create(smartvpn.ClientSpec{ID: "a"})
	fails(t, err, smartvpn.ErrBadState)
	_, err = clients.List()
	fails(t, err, smartvpn.ErrBadState)
	_, err = clients.Revision()
	fails(t, err, smartvpn.ErrBadState)
	_, err = clients.Transaction(func(*smartvpn.Tx) error { return nil })
	fails(t, err, smartvpn.ErrBadState)
}

func TestATransactionHappensWholeOrNotAtAll(t *testing.T) {
	server := runningServer(t, "testing")
	clients := server.Clients()
	result, err := clients.Transaction(func(tx *smartvpn.Tx) error {
		tx.Expect(0)
		ok(t, tx.Create(smartvpn.ClientSpec{ID: "alice"}))
		ok(t, tx.Update("alice", smartvpn.Patch{"tags": []string{"staff"}}))
		ok(t, tx.Create(smartvpn.ClientSpec{ID: "bob", Addresses: []string{"10.8.0.9"}}))
		ok(t, tx.Create(smartvpn.ClientSpec{ID: "carol"}))
		ok(t, tx.Remove("carol"))
		failsAt(t, tx.Create(smartvpn.ClientSpec{}), smartvpn.ErrInvalid, "/id")
		return nil
	})
	ok(t, err)
	if result.Revision != 5 || len(result.Credentials) != 3 || result.Credentials[1].Client.ID != "bob" || get(t, server, "alice").Tags[0] != "staff" {
		t.Fatalf("%+v", result)
	}
	_, err = clients.Transaction(func(tx *smartvpn.Tx) error {
		ok(t, tx.Remove("alice"))
		return tx.Create(smartvpn.ClientSpec{ID: "dave", Addresses: []string{"fd00:8::9", "10.8.0.9"}})
	})
	failsAt(t, err, smartvpn.ErrExists, "/1/addresses/1")
	_, err = clients.Transaction(func(tx *smartvpn.Tx) error {
		tx.Expect(3)
		return tx.Remove("alice")
	})
	fails(t, err, smartvpn.ErrConflict)
	mine := errors.New("mine")
	_, err = clients.Transaction(func(tx *smartvpn.Tx) error {
		ok(t, tx.Remove("alice"))
		return mine
	})
	fails(t, err, mine)
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("the panic is gone")
			}
		}()
		_, _ = clients.Transaction(func(tx *smartvpn.Tx) error {
			ok(t, tx.Remove("alice"))
			panic("mine")
		})
	}()
	get(t, server, "alice") // is there still
	var kept *smartvpn.Tx
	_, err = clients.Transaction(func(tx *smartvpn.Tx) error { kept = tx; return nil })
	ok(t, err)
	fails(t, kept.Remove("alice"), smartvpn.ErrClosed)
}
