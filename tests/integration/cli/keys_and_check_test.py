"""keygen, pubkey, check, version and wrong usage: output and exit codes."""

import subprocess
import sys

from cli_driver import is_key, main, same


def test_keygen_prints_a_pair_that_pubkey_confirms(bench):
    pair = bench.keys()
    same(sorted(pair), ["private_key", "public_key"])
    assert is_key(pair["private_key"]) and is_key(pair["public_key"])
    same(bench.run("pubkey", text=pair["private_key"] + "\n").stdout, pair["public_key"] + "\n")
    assert bench.keys() != pair


def test_keygen_without_json_is_for_people(bench):
    lines = dict(line.split(":", 1) for line in bench.run("keygen").stdout.splitlines())
    same(sorted(lines), ["private key", "public key"])
    assert all(is_key(value.strip()) for value in lines.values())


def test_pubkey_knows_the_pair_of_rfc_7748(bench):
    # Alice's of section 6.1.
    done = bench.run("pubkey", text="dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=")
    same(done.stdout, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n")


def test_pubkey_refuses_what_is_no_key(bench):
    for text in ("", "\n", "rubbish\n", "A" * 44, "A" * 500, "\0" * 500):
        done = bench.run("pubkey", text=text)
        same((done.returncode, done.stdout), (2, ""))
        assert done.stderr.startswith("smartvpn: "), done.stderr


def check(bench, config, *arguments):
    return bench.run("check", "--config", bench.file("config.json", config), *arguments)


def test_check_takes_both_kinds_and_tells_them_apart(bench):
    server, tunnel = bench.server_config(), bench.tunnel_config("127.0.0.1:1")
    for config, arguments, kind in (
        (server, [], "server"),
        (server, ["--server"], "server"),
        (tunnel, [], "tunnel"),
        (tunnel, ["--tunnel"], "tunnel"),
    ):
        done = check(bench, config, *arguments)
        same((done.returncode, done.stdout, done.stderr), (0, f"ok: a {kind}'s configuration\n", ""))


def test_check_names_the_path_and_the_nearest_key(bench):
    server, tunnel = bench.server_config(), bench.tunnel_config("127.0.0.1:1")
    server["listen"][0]["prt"] = server["listen"][0].pop("port")
    tunnel["reconect"] = tunnel.pop("reconnect")
    for config, path, nearest in ((server, "/listen/0/prt", '"port"'), (tunnel, "/reconect", '"reconnect"')):
        done = check(bench, config)
        same((done.returncode, done.stdout), (2, ""))
        assert done.stderr.startswith(f"smartvpn: {path}: ") and nearest in done.stderr, done.stderr


def test_check_finds_contradictions_and_what_only_creating_shows(bench):
    tls = bench.server_config()
    tls["listen"][0]["tls"] = {"certificate": "/nonexistent/chain.pem", "key": "/nonexistent/key.pem"}
    lists = bench.server_config(security={"connection_ip_block_list": ["10.0.0.9-10.0.0.1"]})
    twice = bench.server_config()
    twice["clients"] *= 2
    for config, path in (
        (tls, "/listen/0/tls/certificate"),
        (lists, "/security/connection_ip_block_list/0"),
        (twice, "/clients/1"),
        (bench.server_config(keys={}), "/keys"),
    ):
        done = check(bench, config)
        same(done.returncode, 2)
        assert done.stderr.startswith(f"smartvpn: {path}"), done.stderr


def test_check_of_files_that_are_no_configuration(bench):
    done = bench.run("check", "--config", "/nonexistent.json")
    same(done.stderr, "smartvpn: /nonexistent.json: No such file or directory\n")
    cut, empty = bench.file("cut.json", '{"listen": ['), bench.file("empty.json", "")
    for path in ("/nonexistent.json", bench.folder, cut, empty):
        same(bench.run("check", "--config", path).returncode, 2)


def test_no_secret_in_an_error(bench):
    config = bench.server_config(keys={"noise_private_key": bench.server_key["private_key"] + "x"})
    done = check(bench, config)
    same(done.returncode, 2)
    assert bench.server_key["private_key"] not in done.stderr, done.stderr


def test_serve_and_connect_refuse_a_bad_configuration(bench):
    server, tunnel = bench.server_config(lisen=[]), bench.tunnel_config("127.0.0.1:1", tonne=1)
    for command, config in (("serve", server), ("connect", tunnel)):
        done = bench.run(command, "--config", bench.file("config.json", config))
        same((done.returncode, done.stdout), (2, ""))


def test_wrong_usage_ends_with_2_and_help_with_0(bench):
    wrong = [[], ["nonsense"], ["serve"], ["serve", "--config"], ["keygen", "--nonsense"], ["check", "--tunnel"]]
    for arguments in wrong:
        done = bench.run(*arguments)
        same((arguments, done.returncode, done.stdout), (arguments, 2, ""))
        assert done.stderr.startswith("smartvpn: "), done.stderr
    for arguments in (["--help"], ["serve", "--help"]):
        done = bench.run(*arguments)
        same((done.returncode, done.stderr), (0, ""))
        assert "relative to the working directory" in done.stdout, done.stdout


def test_version_is_that_of_the_library(bench):
    words = bench.run("version").stdout.split()
    same(words[0], "smartvpn")
    same(len(words[1].split(".")), 3)


def test_output_that_cannot_be_written_is_a_failure(bench):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([bench.command, "keygen"], stdout=full, stderr=subprocess.PIPE, check=False)
    same(done.returncode, 1)


if __name__ == "__main__":
    main("cli.keys_and_check", sys.modules[__name__])
