// Calls about what needs no server: the library, errors, configurations, keys, and objects that outlive theirs.
#pragma once

#include "abi/texts.hpp"
#include "abi/world.hpp"

namespace smartvpn::fuzz {

// `use(json, length)` with the text's own length, or with a NUL behind it; rarely with no text at all.
template <class Use>
smartvpn_status with_json(Record& in, const std::string& text, Use&& use) {
  if (in.rarely()) return use(nullptr, in.below(3) == 0 ? SMARTVPN_NUL_TERMINATED : size_t{0});
  const bool terminated = in.below(2) != 0;
  Exact copy(text, terminated);
  return use(copy.data.get(), terminated ? SMARTVPN_NUL_TERMINATED : copy.size);
}

// A NUL-terminated text; rarely none.
struct Name {
  Name(Record& in, const std::string& text) : copy(text, true), none(in.rarely()) {}
  operator const char*() const { return none ? nullptr : copy.data.get(); }
  Exact copy;
  bool none;
};

inline void library(World&, Record& in) {
  const auto status = static_cast<smartvpn_status>(in.below(40)) - 25;
  require(smartvpn_status_name(status) && smartvpn_status_text(status));
  require(smartvpn_abi_version() == SMARTVPN_ABI_VERSION && smartvpn_version());
  const int32_t has = smartvpn_has(Name(in, in.odd_bytes()));
  require(has == 0 || has == 1 || has == SMARTVPN_NOT_FOUND || has == SMARTVPN_INVALID);
}

inline void errors(World& w, Record& in) {
  auto err = w.choose<smartvpn_error>(kError, in);
  require(smartvpn_error_text(err.handle) && smartvpn_error_path(err.handle));
  const smartvpn_status status = smartvpn_error_status(err.handle);
  require(status < 0 && (err.good() || status == SMARTVPN_BAD_HANDLE));
  static_cast<void>(smartvpn_error_system_errno(err.handle));
}

inline void config_new(World& w, Record& in) {
  const auto kind = static_cast<smartvpn_config_kind>(in.below(3)) - (in.rarely() ? 3 : 0);
  smartvpn_config* config = nullptr;
  const bool out = !in.rarely() && w.has_room(kConfig);
  const auto status =
      w.run(in, true, [&](auto** err) { return smartvpn_config_new(kind, out ? &config : nullptr, err); });
  require((status == SMARTVPN_OK) == (out && (kind == 0 || kind == 1)) &&
          (status == SMARTVPN_OK) == (config != nullptr));
  if (config) w.add(kConfig, config).tunnel = kind == SMARTVPN_CONFIG_TUNNEL;
}

inline void config_from_json(World& w, Record& in) {
  if (!w.has_room(kConfig)) return;
  const bool tunnel = in.below(3) == 0;
  const std::string text = tunnel ? text_of(in, kTunnelJson) : text_of(in, kServerJson);
  const smartvpn_config_kind kind = tunnel != in.rarely() ? SMARTVPN_CONFIG_TUNNEL : SMARTVPN_CONFIG_SERVER;
  smartvpn_config* config = nullptr;
  const auto status = w.run(in, true, [&](auto** err) {
    return with_json(in, text, [&](const char* json, size_t size) {
      return smartvpn_config_from_json(kind, json, size, &config, err);
    });
  });
  require((status == SMARTVPN_OK) == (config != nullptr));
  if (config) w.add(kConfig, config).tunnel = kind == SMARTVPN_CONFIG_TUNNEL;
}

inline std::string config_text(World& w, Record& in, Choice<smartvpn_config> config, bool secrets) {
  return w.text(in, config.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_config_to_json(config.handle, secrets, buf, cap, needed, err);
  });
}

// On failure the configuration is as before, and what it says of itself can be read again.
inline void config_set(World& w, Record& in) {
  auto config = w.choose<smartvpn_config>(kConfig, in);
  Name pointer(in, text_of(in, kPointers));
  const std::string value = in.below(4) ? text_of(in, kValues) : text_of(in, kClientJson);
  const std::string before = config_text(w, in, config, true);
  const auto status = w.run(in, config.good(), [&](auto** err) {
    return with_json(in, value, [&](const char* json, size_t size) {
      return smartvpn_config_set(config.handle, pointer, json, size, err);
    });
  });
  const std::string after = config_text(w, in, config, true);
  if (status < 0) require(after == before);
  if (after.empty() || !w.has_room(kConfig)) return;
  smartvpn_config* again = nullptr;
  const auto kind = config.entry->tunnel ? SMARTVPN_CONFIG_TUNNEL : SMARTVPN_CONFIG_SERVER;
  require(smartvpn_config_from_json(kind, after.data(), after.size(), &again, nullptr) == SMARTVPN_OK);
  require(smartvpn_config_free(again) == SMARTVPN_OK);
}

inline void config_validate(World& w, Record& in) {
  auto config = w.choose<smartvpn_config>(kConfig, in);
  w.run(in, config.good(), [&](auto** err) { return smartvpn_config_validate(config.handle, err); });
  config_text(w, in, config, false);
}

inline void keys(World& w, Record& in) {
  std::string key = w.text(in, true, [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_key_generate(buf, cap, needed, err);
  });
  require(key.size() + 1 == SMARTVPN_KEY_SIZE);
  if (in.rarely()) key = in.odd_bytes();
  Name text(in, key);
  w.text(in, true, [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_key_public(text, buf, cap, needed, err);
  });
}

inline void qr(World& w, Record& in) {
  const auto form = static_cast<smartvpn_qr_form>(in.below(5));
  std::string text = in.below(2) ? text_of(in, kServerJson) : std::string(in.u16() % 3000, 'x');
  w.text(
      in, true,
      [&](char* buf, size_t cap, size_t* needed, auto** err) {
        return smartvpn_qr_encode(text.data(), text.size(), form, buf, cap, needed, err);
      },
      form == SMARTVPN_QR_PNG);
}

inline void event_read(World& w, Record& in) {
  auto event = w.choose<smartvpn_event>(kEvent, in);
  World::check_number(smartvpn_event_type(event.handle), event.good());
  const char* json = smartvpn_event_json(event.handle);
  require((json != nullptr) == event.good() && (!json || *json == '{'));
  const std::string key = in.rarely() ? in.odd_bytes() : in.of(kEventKeys);
  uint64_t number = 0;
  const char* text = smartvpn_event_text(event.handle, key.c_str());
  const auto status =
      World::check(smartvpn_event_u64(event.handle, key.c_str(), in.rarely() ? nullptr : &number), event.good());
  require(!text || status != SMARTVPN_OK);
}

inline void credentials_read(World& w, Record& in) {
  auto c = w.choose<smartvpn_credentials>(kCredentials, in);
  for (const char* text : {smartvpn_credentials_client(c.handle), smartvpn_credentials_private_key(c.handle),
                           smartvpn_credentials_config(c.handle), smartvpn_credentials_wireguard_private_key(c.handle),
                           smartvpn_credentials_wireguard_config(c.handle)})
    require((text != nullptr) == c.good());
}

inline void changes_read(World& w, Record& in) {
  auto changes = w.choose<smartvpn_changes>(kChanges, in);
  const char* json = smartvpn_changes_json(changes.handle);
  require((json != nullptr) == changes.good() && (!json || *json == '['));
}

inline void stats_read(World& w, Record& in) {
  auto stats = w.choose<smartvpn_stats>(kStats, in);
  uint64_t value = 0;
  Name name(in, text_of(in, kStatNames));
  World::check(smartvpn_stats_u64(stats.handle, name, in.rarely() ? nullptr : &value), stats.good());
  w.text(in, stats.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return in.below(2) ? smartvpn_stats_json(stats.handle, buf, cap, needed, err)
                       : smartvpn_stats_prometheus(stats.handle, buf, cap, needed, err);
  });
}

inline void free_any(World& w, Record& in) {
  const auto kind = static_cast<Kind>(in.below(kKinds));
  auto any = w.choose<void>(kind, in);
  const smartvpn_status status = World::free_one(kind, any.handle);
  if (!any.handle) return require(status == SMARTVPN_OK);
  World::check(status, any.good());
  require(any.good() == (status == SMARTVPN_OK));
  if (any.good()) w.forget(kind, any.handle);
}

}  // namespace smartvpn::fuzz
