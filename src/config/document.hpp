// A configuration being put together by the host: JSON text in, keys set one by one, JSON text out.
// Types, ranges and unknown keys are refused as they come; what takes the whole picture (missing
// keys, contradictions) is `validate`'s. Not thread-safe. Secrets are wiped when overwritten or freed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/key_table.hpp"
#include "config/relay_config.hpp"
#include "config/server_config.hpp"
#include "config/tunnel_config.hpp"

namespace smartvpn::config {

// A key whose value differs between two configurations; a default that is written out is no difference.
// Lists are one key, but for /listen with as many entries as before.
struct KeyChange {
  std::string path;  // JSON Pointer
  Effect effect = Effect::server_restart;
  friend bool operator==(const KeyChange&, const KeyChange&) = default;
};

class Document {
 public:
  explicit Document(Kind kind = Kind::server);  // {}
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  // INVALID or UNSUPPORTED with the path, as parse_server_config; missing keys are no error here.
  static Result<Document> parse(std::string_view json, Kind kind = Kind::server);

  Kind kind() const noexcept;
  // RFC 6901 pointer, "" for the whole. Missing objects on the way are made, and array elements at
  // the end ("-", or the index that equals the length). The JSON value `null` removes the key or
  // element. On failure the document is as before.
  Result<void> set(std::string_view pointer, std::string_view json_value);
  // Indented, ending in a newline. Without secrets their keys are left out.
  std::string to_json(bool with_secrets) const;
  Result<void> validate() const;

  Document clone() const;
  // What is different in `next`, a document of the same kind, in order of path. Secrets are compared, never told.
  std::vector<KeyChange> changes_to(const Document& next) const;
  // Takes the values of these paths over from `next`.
  void take(const Document& next, const std::vector<KeyChange>& changes);

  // BAD_STATE for a document of the other kind.
  Result<ServerConfig> server_config() const;
  Result<TunnelConfig> tunnel_config() const;
  Result<RelayConfig> relay_config() const;

 private:
  struct Impl;
  explicit Document(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::config
