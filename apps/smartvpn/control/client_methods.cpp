// Methods about the registry's clients.
#include "control/methods.hpp"

namespace smartvpn::cli {
namespace {

std::string id_of(const Params& params) { return params.text("id"); }

// A text as a JSON string. What comes here is UTF-8, but may have line ends and quotes.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  out += '"';
}

// JSON of the library's as part of a line: its line ends stand between tokens, never inside a text.
void append_on_one_line(std::string& out, std::string_view json) {
  for (char c : json)
    if (c != '\n') out += c;
}

// Everything that create and rotate give once.
SecretText json_of(const smartvpn_credentials* credentials) {
  std::string_view client = smartvpn_credentials_client(credentials);
  std::string_view config = smartvpn_credentials_config(credentials);
  std::string_view conf = smartvpn_credentials_wireguard_config(credentials);
  SecretText out;
  out.text().reserve(client.size() + config.size() + 2 * conf.size() + 512);
  out.text().append("{\"client\":").append(client).append(",\"config\":");
  append_on_one_line(out.text(), config);
  out.text() += ",\"private_key\":";
  append_quoted(out.text(), smartvpn_credentials_private_key(credentials));
  out.text() += ",\"wireguard_private_key\":";
  append_quoted(out.text(), smartvpn_credentials_wireguard_private_key(credentials));
  out.text() += ",\"wireguard_config\":";
  append_quoted(out.text(), conf);
  out.text() += '}';
  return out;
}

SecretText clients_list(const ControlContext& context, const Params& params) {
  SecretText query = params.json();
  return read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_client_query(context.server, query.text().data(), query.text().size(), buf, cap, needed, error);
  });
}

SecretText clients_get(const ControlContext& context, const Params& params) {
  return read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_client_get(context.server, id_of(params).c_str(), buf, cap, needed, error);
  });
}

SecretText clients_stats(const ControlContext& context, const Params& params) {
  return read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_client_stats(context.server, id_of(params).c_str(), buf, cap, needed, error);
  });
}

SecretText clients_add(const ControlContext& context, const Params& params) {
  SecretText client = params.json("client");
  Credentials made = make<Credentials>([&](smartvpn_credentials** out, smartvpn_error** error) {
    return smartvpn_client_create(context.server, client.text().data(), client.text().size(), out, error);
  });
  return json_of(made.get());
}

SecretText clients_update(const ControlContext& context, const Params& params) {
  SecretText changes = params.json("changes");
  uint64_t revision = params.number("expected_revision", 0);
  call([&](smartvpn_error** error) {
    return smartvpn_client_update(context.server, id_of(params).c_str(), changes.text().data(), changes.text().size(),
                                  revision, error);
  });
  return clients_get(context, params);
}

SecretText clients_rotate(const ControlContext& context, const Params& params) {
  SecretText options = params.has("options") ? params.json("options") : SecretText("{}");
  Credentials made = make<Credentials>([&](smartvpn_credentials** out, smartvpn_error** error) {
    return smartvpn_client_rotate(context.server, id_of(params).c_str(), options.text().data(), options.text().size(),
                                  out, error);
  });
  return json_of(made.get());
}

SecretText clients_export(const ControlContext& context, const Params& params) {
  std::string format = params.text("format", "native");
  if (format != "native" && format != "wireguard")
    throw Failure{kExitUsage, "/format", "is \"native\" or \"wireguard\"", SMARTVPN_INVALID};
  smartvpn_export number = format == "native" ? SMARTVPN_EXPORT_NATIVE : SMARTVPN_EXPORT_WIREGUARD;
  smartvpn_status status = SMARTVPN_OK;
  auto read = [&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_client_export(context.server, id_of(params).c_str(), number, buf, cap, needed, error);
  };
  SecretText text = read_text(read, &status);
  SecretText out;
  out.text().reserve(2 * text.text().size() + 64);
  out.text() += status == SMARTVPN_SECRET_NOT_KEPT ? "{\"complete\":false,\"text\":" : "{\"complete\":true,\"text\":";
  append_quoted(out.text(), text.text());
  out.text() += '}';
  return out;
}

// For the functions that take an id and give nothing.
template <auto Function>
SecretText by_id(const ControlContext& context, const Params& params) {
  call([&](smartvpn_error** error) { return Function(context.server, id_of(params).c_str(), error); });
  return SecretText("{}");
}

constexpr ControlMethod kClientMethods[] = {
    {"clients.list", "*", clients_list},
    {"clients.get", "id", clients_get},
    {"clients.stats", "id", clients_stats},
    {"clients.add", "client", clients_add, true},
    {"clients.update", "id changes expected_revision", clients_update, true},
    {"clients.enable", "id", by_id<smartvpn_client_enable>, true},
    {"clients.disable", "id", by_id<smartvpn_client_disable>, true},
    {"clients.remove", "id", by_id<smartvpn_client_remove>, true},
    {"clients.rotate", "id options", clients_rotate, true},
    {"clients.rotate_commit", "id", by_id<smartvpn_client_rotate_commit>, true},
    {"clients.rotate_roll_back", "id", by_id<smartvpn_client_rotate_roll_back>, true},
    {"clients.export", "id format", clients_export},
};

}  // namespace

std::span<const ControlMethod> client_methods() { return kClientMethods; }

}  // namespace smartvpn::cli
