/* What the environment says to OpenSSL and libuv is for the host's own use of them: ours works as before, and the
 * host's gets what it asked for. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static void pings(const char* tls) {
  const struct wishes wishes = {.tls = tls};
  struct pair pair;
  open_pair(&pair, &wishes);
  for (int i = 0; i < 5; ++i) need(ping(pair.tunnel));
  close_pair(&pair);
}

/* The host's own context, made after ours was at work. */
static void host_gets_its_own(void) {
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  need(context && SSL_CTX_get_min_proto_version(context) == TLS1_3_VERSION);
  need(SSL_CTX_get_verify_mode(context) == (SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT));
  SSL_CTX_free(context);
  need(!OSSL_LIB_CTX_set0_default(NULL) || EVP_MD_fetch(NULL, "MD4", NULL) == NULL); /* no provider of ours in it */
}

int serve_in_environment(const char* what, const char* folder) {
  alarm(60);
  pings(NULL);
  pings(folder);
  need(ERR_peek_error() == 0); /* nothing in the host's queue of errors */
  if (strcmp(what, "strict") == 0) host_gets_its_own();
  return 0;
}

static const struct {
  const char *name, *text;
} configurations[] = {
    {"syntax", "openssl_conf = [[[\n[broken\n= =\n$(\n"},
    {"engine",
     "openssl_conf = all\n[all]\nengines = engines\n[engines]\nbogus = bogus\n[bogus]\n"
     "dynamic_path = /nonexistent/engine.so\ndefault_algorithms = ALL\ninit = 1\n"},
    {"provider",
     "openssl_conf = all\n[all]\nproviders = providers\n[providers]\nbogus = bogus\nnull = null\n"
     "[bogus]\nmodule = /nonexistent/provider.so\nactivate = 1\n[null]\nactivate = 1\n"},
    {"strict",
     "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = system\n[system]\n"
     "MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_256_GCM_SHA384\nCipherString = AES128-SHA:@SECLEVEL=5\n"
     "Groups = secp521r1\nSignatureAlgorithms = RSA+SHA512\nVerifyMode = Require\n"
     "Options = NoResumptionOnRenegotiation,-MiddleboxCompat\nNumTickets = 7\nRecordPadding = 16384\n"},
    {"unknown",
     "openssl_conf = all\n[all]\nssl_conf = ssl\nno_such_module = x\n[ssl]\nsystem_default = system\n"
     "[system]\nNoSuchCommand = yes\nMinProtocol = garbage\n"},
    {"fips", "openssl_conf = all\n[all]\nalg_section = algorithms\n[algorithms]\ndefault_properties = fips=yes\n"},
    {"diagnostics",
     "config_diagnostics = 1\nopenssl_conf = all\n[all]\nengines = engines\n[engines]\nbogus = bogus\n"
     "[bogus]\ndynamic_path = /nonexistent/engine.so\n"},
};

int environment(const char* folder) {
  char path[600];
  setenv("UV_THREADPOOL_SIZE", "-99999999999999999999", 1);
  setenv("UV_USE_IO_URING", "garbage", 1);
  setenv("UV_TCP_SINGLE_ACCEPT", "garbage", 1);
  setenv("UV_GARBAGE", "%n%n%n", 1);
  setenv("OPENSSL_MODULES", "/nonexistent", 1);
  setenv("OPENSSL_ENGINES", "/nonexistent", 1);
  setenv("SSL_CERT_FILE", "/nonexistent", 1);
  setenv("SSL_CERT_DIR", "/nonexistent", 1);
  setenv("RANDFILE", "/nonexistent", 1);
  for (size_t i = 0; i < sizeof configurations / sizeof *configurations; ++i) {
    snprintf(path, sizeof path, "%s/%s.cnf", folder, configurations[i].name);
    FILE* file = fopen(path, "w");
    need(file && fputs(configurations[i].text, file) >= 0 && fclose(file) == 0);
    setenv("OPENSSL_CONF", path, 1);
    const int code = exit_code_of(spawn_self("serve", configurations[i].name, folder));
    if (code != 0) printf("OPENSSL_CONF '%s': exit code %d\n", configurations[i].name, code);
    need(code == 0);
  }
  return 0;
}
