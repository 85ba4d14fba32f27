// JSON text to tree and the walk of a tree along a key table. Inside config/ only; the JSON library is
// json_text.cpp's alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/document.hpp"
#include "config/json_value.hpp"
#include "config/key_tree.hpp"

namespace smartvpn::config {

constexpr size_t kMaxJsonBytes = 64u << 20;
constexpr size_t kMaxJsonDepth = 16;

// RFC 8259 text, strictly; INVALID with line and column, or with the path of a key that comes twice.
// `pointer` is where the value stands. Texts of errors quote nothing of the input but key names. On failure `out` may
// hold a part.
Result<void> parse_json(std::string_view text, const std::string& pointer, Json& out);

// A key's default; null where there is none.
Json fallback_of(const KeySpec& spec);

// "/a~1b" for pointer "" and part "a/b" (RFC 6901).
std::string join_pointer(const std::string& pointer, std::string_view part);

// Unknown keys, what is not built, types and ranges. `complete`: missing required keys and lists that
// are too short as well.
Result<void> check_structure(const KeyNode& node, const Json& value, const std::string& pointer, bool complete);
// UNSUPPORTED or INVALID for a name that is not among an object's keys.
Error unknown_key(const KeyNode& object, std::string_view name, const std::string& pointer);

// What is wrong with a value that is neither object nor array, as the end of a sentence that begins
// with the key; nothing if it is right.
std::optional<std::string> wrong_value(const KeySpec& spec, const Json& value);

// On trees that check_structure accepts.
void remove_secrets(const KeyNode& node, Json& value);
void wipe_secrets(const KeyNode& node, Json& value) noexcept;

// Document::changes_to, of trees that check_structure accepts.
std::vector<KeyChange> compare(const KeyNode& root, const Json& present, const Json& next);

// A tree whose secrets are wiped when it goes.
class SecretTree {
 public:
  explicit SecretTree(Kind kind) : root_(key_tree(kind)) {}
  ~SecretTree() { wipe_secrets(root_, json_); }
  SecretTree(const SecretTree&) = delete;
  SecretTree& operator=(const SecretTree&) = delete;
  Json& json() noexcept { return json_; }

 private:
  const KeyNode& root_;
  Json json_ = Json::object();
};

}  // namespace smartvpn::config
