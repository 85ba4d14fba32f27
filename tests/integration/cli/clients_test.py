"""smartvpn clients ...: the registry of a running server, for people and as JSON."""

import json
import os
import stat
import subprocess
import sys

from cli_driver import WAIT_S, is_key, main, same
from control_driver import Controlled


def with_wireguard(bench):
    keys = {"noise_private_key": bench.server_key["private_key"], "wireguard_private_key": bench.keys()["private_key"]}
    return bench.server_config(keys=keys, network={"subnets": ["10.8.0.0/24"], "wireguard_endpoint": "vpn.example:51820"})


def test_add_prints_a_configuration_that_connects(bench):
    control = Controlled(bench)
    done = control.run("clients", "add", "bob")
    same((done.returncode, done.stderr.split()[:3]), (0, ["bob", "was", "added"]))
    config = json.loads(done.stdout)
    assert is_key(config["keys"]["noise_private_key"]), config
    config["forwarding"] = {"mode": "testing"}
    client = bench.start("connect", "--config", bench.file("bob.json", config), "--events")
    client.event("session_up")
    control.server.event("session_up", client_id="bob")
    same(client.stop(), 0)


def test_add_saves_it_for_its_owner_alone(bench):
    control = Controlled(bench)
    path = os.path.join(bench.folder, "bob.json")
    old = os.umask(0)
    try:
        same(control.good("clients", "add", "bob", "--out", path), "")
    finally:
        os.umask(old)
    same(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    assert is_key(json.load(open(path, encoding="utf-8"))["keys"]["noise_private_key"])
    before = open(path, encoding="utf-8").read()
    assert "--force" in control.bad(2, "clients", "add", "carol", "--out", path)
    same(open(path, encoding="utf-8").read(), before)
    same(control.bad(1, "clients", "show", "carol").count("\n"), 1)  # nothing was made
    answer = control.json("clients", "add", "carol", "--out", path, "--force")
    same((answer["client"]["id"], sorted(answer)), ("carol", ["client", "files"]))
    assert open(path, encoding="utf-8").read() != before
    same(sorted(name for name in os.listdir(bench.folder) if name.startswith("bob.json")), ["bob.json"])


def test_add_leaves_no_file_and_no_client_where_something_fails(bench):
    control = Controlled(bench)
    path = os.path.join(bench.folder, "new.json")
    control.bad(2, "clients", "add", "alice", "--out", path)  # exists
    control.bad(2, "clients", "add", "bad id", "--out", path)
    control.bad(1, "clients", "add", "bob", "--out", os.path.join(bench.folder, "none", "bob.json"))
    control.bad(2, "clients", "add", "bob", "--wireguard", "--out", path)  # the server has no such key
    assert not os.path.exists(path)
    same([client["id"] for client in control.json("clients", "list")], ["alice"])


def test_a_full_disk_takes_the_client_back(bench):
    if os.geteuid() != 0:
        return  # only root can have a disk of its own
    control = Controlled(bench)
    script = (
        f"mkdir {bench.folder}/full && mount -t tmpfs -o size=4k none {bench.folder}/full && "
        f"head -c 4096 /dev/zero > {bench.folder}/full/rest; "
        f"exec {bench.command} clients add bob --out {bench.folder}/full/bob.json --control {control.path}"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=WAIT_S)
    same((done.returncode, done.stdout), (1, ""))
    assert "No space left" in done.stderr, done.stderr
    same([client["id"] for client in control.json("clients", "list")], ["alice"])


def test_settings_come_from_options_and_files(bench):
    control = Controlled(bench)
    more = {"description": "from the file", "tags": ["file"], "security": {"rate_limit": {"to_client_bytes_per_second": 7}}}
    arguments = ["--description", "Bob's", "--expires", "2099-01-01T00:00:00Z", "--address", "10.8.0.77"]
    arguments += ["--address", "fd00:8::77", "--subnet", "192.168.7.0/24", "--transport", "websocket", "--priority", "5"]
    arguments += ["--session-policy", "refuse-new", "--allow-from", "127.0.0.0/8", "--block-from", "192.0.2.1"]
    arguments += ["--allow-to", "10.0.0.0/8", "--block-to", "10.9.9.9", "--rate-from-client", "1000000"]
    key = bench.keys()["public_key"]
    made = control.json("clients", "add", "bob", "--from", "-", "--public-key", key, *arguments, text=json.dumps(more))
    same((made["private_key"], made["client"]["noise_public_key"]), ("", key))
    client = control.json("clients", "show", "bob")
    same({name: client[name] for name in ("description", "tags", "priority", "session_policy", "transports", "subnets")},
         {"description": "Bob's", "tags": ["file"], "priority": 5, "session_policy": "refuse-new",
          "transports": ["websocket"], "subnets": ["192.168.7.0/24"]})
    same((client["expires_at"], client["addresses"]), (4070908800000, ["10.8.0.77", "fd00:8::77"]))
    same((client["security"]["ip_allow_list"], client["security"]["ip_block_list"]), (["127.0.0.0/8"], ["192.0.2.1"]))
    limits = client["security"]["rate_limit"]
    same((limits["from_client_bytes_per_second"], limits["to_client_bytes_per_second"]), (1000000, 7))


def test_what_is_wrong_with_a_client_has_its_path(bench):
    control = Controlled(bench)
    assert "/addresses/0" in control.bad(2, "clients", "add", "bob", "--address", "10.9.9.9")
    assert "/max_sessions" in control.bad(2, "clients", "add", "bob", "--max-sessions", "0")
    control.bad(2, "clients", "add", "bob", "--from", bench.file("list.json", "[]"))
    control.bad(2, "clients", "add", "bob", "--from", "/nonexistent")
    for arguments in (["clients"], ["clients", "add"], ["clients", "show"], ["clients", "add", "a", "b"], ["clients", "no"]):
        same((arguments, bench.run(*arguments).returncode), (arguments, 2))


def test_list_finds_and_pages(bench):
    clients = [{"id": f"client-{i:04}", "noise_public_key": bench.keys()["public_key"]} for i in range(20)]
    control = Controlled(bench, bench.server_config(clients=clients, network={"subnets": ["10.8.0.0/16"]}))
    control.good("clients", "update", "client-0003", "--tag", "blue", "--tag", "big", "--description", "Drittes Gerät")
    control.good("clients", "disable", "client-0003", "client-0004")
    same([client["id"] for client in control.json("clients", "list")], [f"client-{i:04}" for i in range(20)])
    for arguments, wanted in (
        (["--tag", "blue"], ["client-0003"]),
        (["--text", "DRITTES"], ["client-0003"]),
        (["--disabled"], ["client-0003", "client-0004"]),
        (["--prefix", "client-001", "--enabled"], [f"client-{i:04}" for i in range(10, 20)]),
        (["--online"], []),
    ):
        same((arguments, [client["id"] for client in control.json("clients", "list", *arguments)]), (arguments, wanted))
    same(len(control.json("clients", "list", "--offline")), 20)
    lines = control.good("clients", "list").splitlines()
    same((len(lines), lines[0].split()[:3]), (21, ["CLIENT", "STATE", "ADDRESSES"]))
    third = lines[4]
    assert "disabled" in third and "blue big" in third and "Drittes Gerät" in third, third
    same(control.run("clients", "list", "--enabled", "--disabled").returncode, 2)


def test_show_is_for_people_and_programs(bench):
    control = Controlled(bench)
    client = bench.connect(control.address, "--events")
    client.event("session_up")
    lines = {line.split()[0]: line.split()[1:] for line in control.good("clients", "show", "alice").splitlines()}
    same((lines["id"], lines["enabled"], lines["sessions_now"]), (["alice"], ["yes"], ["1"]))
    shown = control.json("clients", "show", "alice")
    same((shown["id"], shown["traffic"]["sessions_now"]), ("alice", 1))
    assert "online" in control.good("clients", "list").splitlines()[1]
    assert "private" not in json.dumps(shown)


def test_update_changes_only_what_it_names(bench):
    control = Controlled(bench)
    control.good("clients", "update", "alice", "--description", "one", "--tag", "a", "--rate-to-client", "5")
    client = control.json("clients", "update", "alice", "--unset", "tags", "--unset", "security.rate_limit")
    same((client["description"], client["tags"]), ("one", []))
    same(client["security"]["rate_limit"]["to_client_bytes_per_second"], 0)
    stale = str(client["revision"] - 1)
    control.bad(1, "clients", "update", "alice", "--description", "two", "--revision", stale)
    control.good("clients", "update", "alice", "--description", "two", "--revision", str(client["revision"]))
    same(control.json("clients", "show", "alice")["description"], "two")
    control.bad(2, "clients", "update", "alice")
    control.bad(1, "clients", "update", "nobody", "--description", "x")


def test_disable_and_remove_end_sessions(bench):
    control = Controlled(bench)
    client = bench.connect(control.address, "--events")
    client.event("session_up")
    same(control.good("clients", "disable", "alice"), "alice disabled\n")
    same(control.server.event("session_down")["reason"], "client_disabled")
    same(client.exit_code(), 1)  # refused for good
    same(control.json("clients", "enable", "alice"), {"clients": ["alice"], "result": "enabled"})
    client = bench.connect(control.address, "--events")
    client.event("session_up")
    same(control.good("clients", "remove", "alice"), "alice removed\n")
    same(control.server.event("session_down")["reason"], "client_removed")
    control.bad(1, "clients", "remove", "alice")


def test_rotate_gives_new_keys_with_an_overlap(bench):
    control = Controlled(bench)
    path = os.path.join(bench.folder, "alice-new.json")
    control.good("clients", "rotate", "alice", "--overlap", "3600", "--out", path)
    old = bench.connect(control.address, "--events")
    old.event("session_up")
    same(old.stop(), 0)
    config = json.load(open(path, encoding="utf-8"))
    config["forwarding"] = {"mode": "testing"}
    new = bench.start("connect", "--config", bench.file("new.json", config), "--events")
    new.event("session_up")
    control.server.event("client_changed", change="rotation_seen")
    control.bad(1, "clients", "rotate", "alice")  # one overlaps
    control.good("clients", "rotate", "alice", "--commit")
    old = bench.connect(control.address)
    same(control.server.event("connection_rejected")["reason"], "unknown_client")
    same(old.stop(), 0)
    control.bad(1, "clients", "rotate", "alice", "--roll-back")
    same(new.stop(), 0)
    made = control.json("clients", "rotate", "alice")
    assert is_key(made["private_key"])
    same(control.json("clients", "rotate", "alice", "--roll-back")["clients"], ["alice"])
    same(control.json("clients", "show", "alice")["noise_public_key"],
         bench.run("pubkey", text=config["keys"]["noise_private_key"]).stdout.strip())


def test_export_says_when_the_key_is_not_kept(bench):
    control = Controlled(bench)
    done = control.run("clients", "export", "alice")
    same((done.returncode, json.loads(done.stdout)["keys"]["noise_private_key"]), (1, ""))
    assert "private key" in done.stderr, done.stderr
    same(control.run("clients", "export", "alice", "--json").returncode, 1)
    png = os.path.join(bench.folder, "alice.png")
    control.bad(1, "clients", "export", "alice", "--png", png)
    assert not os.path.exists(png)


def test_export_gives_what_add_gave_where_keys_are_kept(bench):
    control = Controlled(bench, bench.server_config(registry={"keep_private_keys": True}))
    added = control.good("clients", "add", "bob")
    same(json.loads(control.good("clients", "export", "bob")), json.loads(added))
    exported = control.json("clients", "export", "bob")
    same((exported["complete"], json.loads(exported["text"])), (True, json.loads(added)))


def decoded(path):
    # Nothing but QR codes: in so many modules there is now and then a bar code, too.
    scan = ["zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", "-Sbinary", "--oneshot", path]
    done = subprocess.run(scan, capture_output=True, timeout=WAIT_S)
    return done.stdout.decode()


def test_wireguard_configurations_and_their_codes(bench):
    control = Controlled(bench, with_wireguard(bench))
    conf, png, svg = (os.path.join(bench.folder, name) for name in ("phone.conf", "phone.png", "phone.svg"))
    control.good("clients", "add", "phone", "--wireguard", "--out", conf, "--png", png, "--svg", svg)
    text = open(conf, encoding="utf-8").read()
    assert "[Interface]" in text and "Endpoint = vpn.example:51820" in text, text
    same(decoded(png), text)
    for path in (conf, png, svg):
        same(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    assert open(svg, encoding="utf-8").read().count("<svg") == 1
    lines = control.good("clients", "add", "tablet", "--wireguard", "--qr").splitlines()
    assert len(lines) > 20 and len({len(line) for line in lines if "\x1b" not in line}) <= 2, lines
    same(control.run("clients", "add", "watch", "--qr", "--json").returncode, 2)


def test_secrets_are_never_in_arguments(bench):
    key = bench.keys()["private_key"]
    control = Controlled(bench, with_wireguard(bench))
    path = bench.file("psk", key + "\n")
    conf = control.good("clients", "add", "phone", "--wireguard", "--wireguard-preshared-key-file", path)
    assert f"PresharedKey = {key}" in conf, conf
    assert key in control.good("clients", "add", "tablet", "--wireguard", "--wireguard-preshared-key-file", "-", text=key)
    assert key not in control.good("clients", "show", "phone")
    for help_text in (bench.run("clients", "add", "--help").stdout, bench.run("clients", "rotate", "--help").stdout):
        assert "private-key" not in help_text, help_text


if __name__ == "__main__":
    main("cli.clients", sys.modules[__name__])
