// The key tables as trees, for walking a document along them. Inside config/ only.
#pragma once

#include <string_view>
#include <vector>

#include "config/key_table.hpp"

namespace smartvpn::config {

struct KeyNode {
  std::string_view name;          // last part of the path; "*" below an array
  const KeySpec* spec = nullptr;  // null at the root, which is an object
  std::vector<KeyNode> children;

  Type type() const noexcept { return spec ? spec->type : Type::object; }
  const KeyNode* child(std::string_view name) const noexcept;
  // The node of any element of an array.
  const KeyNode* element() const noexcept { return children.empty() ? nullptr : &children.front(); }
};

// Lives as long as the process.
const KeyNode& key_tree(Kind kind);

// The tree of a table of its own, for JSON that is no configuration.
KeyNode build_key_tree(std::span<const KeySpec> table);

// Whether `word` is one of the '|'-separated words.
bool has_word(std::string_view words, std::string_view word) noexcept;

// Tables of server_keys.cpp, tunnel_keys.cpp and relay_keys.cpp. Parents come before children.
std::span<const KeySpec> server_key_table() noexcept;
std::span<const KeySpec> tunnel_key_table() noexcept;
std::span<const KeySpec> relay_key_table() noexcept;

}  // namespace smartvpn::config
