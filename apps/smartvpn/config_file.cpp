// See config_file.hpp.
#include "config_file.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

namespace smartvpn::cli {
namespace {

constexpr size_t kMaxFile = 64u << 20;  // what the library takes

struct Closer {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

SecretText read_stream(std::FILE* file, const std::string& name) {
  SecretText content;
  std::array<char, 16384> chunk;
  while (size_t got = std::fread(chunk.data(), 1, chunk.size(), file)) {
    content.text().append(chunk.data(), got);
    if (content.text().size() > kMaxFile) throw Failure{kExitUsage, name, "the file is too large"};
  }
  ::explicit_bzero(chunk.data(), chunk.size());
  if (std::ferror(file)) throw Failure{kExitUsage, name, std::strerror(errno)};
  return content;
}

// By the keys that only one of the kinds has. Not JSON: a server's, and the library says what is
// wrong with it.
class KindCounter : public nlohmann::json_sax<nlohmann::json> {
 public:
  Kind kind() const {
    if (relay_ > server_ && relay_ > tunnel_) return Kind::relay;
    return tunnel_ > server_ ? Kind::tunnel : Kind::server;
  }

  bool key(string_t& name) override {
    static constexpr std::array<std::string_view, 7> kServer = {"listen",   "network", "security", "session",
                                                                "registry", "limits",  "clients"};
    static constexpr std::array<std::string_view, 5> kRelay = {"listen", "security", "limits", "routes", "timeouts"};
    static constexpr std::array<std::string_view, 6> kTunnel = {
        "server", "tls", "proxy_protocol", "reconnect", "keepalive_interval_ms", "mtu"};
    if (depth_ != 1) return true;
    for (auto known : kServer) server_ += name == known;
    for (auto known : kTunnel) tunnel_ += name == known;
    for (auto known : kRelay) relay_ += name == known;
    return true;
  }
  bool start_object(std::size_t) override { return ++depth_, true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return ++depth_, true; }
  bool end_array() override { return --depth_, true; }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  int depth_ = 0, server_ = 0, tunnel_ = 0, relay_ = 0;
};

Kind detect(const std::string& json) {
  KindCounter counter;
  (void)nlohmann::json::sax_parse(json, &counter);
  return counter.kind();
}

}  // namespace

SecretText read_input(const std::string& name) {
  if (name == "-") return read_stream(stdin, "standard input");
  std::unique_ptr<std::FILE, Closer> file(std::fopen(name.c_str(), "rbe"));
  if (!file) throw Failure{kExitUsage, name, std::strerror(errno)};
  return read_stream(file.get(), name);
}

void must_be_readable_again(const std::string& file) {
  if (file == "-") throw Failure{kExitUsage, "standard input", "cannot be read a second time"};
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    throw Failure{kExitUsage, file, "is not a regular file, so it cannot be read again"};
}

LoadedConfig load_config(const std::string& file, Kind kind) {
  SecretText json = read_input(file);
  LoadedConfig loaded;
  loaded.kind = kind == Kind::detect ? detect(json.text()) : kind;
  const smartvpn_config_kind number = loaded.kind == Kind::tunnel  ? SMARTVPN_CONFIG_TUNNEL
                                      : loaded.kind == Kind::relay ? SMARTVPN_CONFIG_RELAY
                                                                   : SMARTVPN_CONFIG_SERVER;
  loaded.config = make<Config>([&](smartvpn_config** out, smartvpn_error** error) {
    return smartvpn_config_from_json(number, json.text().data(), json.text().size(), out, error);
  });
  return loaded;
}

}  // namespace smartvpn::cli
