// Look-ups in the key tables, and the nearest key for a misspelt one.
#include "config/key_table.hpp"

#include <algorithm>

#include "config/key_tree.hpp"

namespace smartvpn::config {
namespace {

constexpr size_t kMaxWord = 64;

std::string_view next_part(std::string_view& path) {
  path.remove_prefix(1);  // '/'
  size_t end = std::min(path.find('/'), path.size());
  std::string_view part = path.substr(0, end);
  path.remove_prefix(end);
  return part;
}

const KeyNode* find_node(Kind kind, std::string_view pattern) {
  const KeyNode* node = &key_tree(kind);
  while (node && !pattern.empty()) node = pattern[0] == '/' ? node->child(next_part(pattern)) : nullptr;
  return node;
}

// Edit distance with neighbouring letters swapped counting as one (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  size_t rows[3][kMaxWord + 1];
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t *now = rows[i % 3], *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], earlier[j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

// Upper case and other separators are no difference: "maxSessions" is near "max_sessions".
std::string folded(std::string_view word) {
  std::string out;
  for (char c : word) {
    if (c == '_' || c == '-' || c == ' ') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace

const KeyNode* KeyNode::child(std::string_view wanted) const noexcept {
  for (const auto& node : children)
    if (node.name == wanted) return &node;
  return nullptr;
}

KeyNode build_key_tree(std::span<const KeySpec> table) {
  KeyNode root;
  for (const auto& spec : table) {
    KeyNode* node = &root;
    for (std::string_view rest = spec.path; !rest.empty();) {
      std::string_view part = next_part(rest);
      if (auto* found = const_cast<KeyNode*>(node->child(part))) {
        node = found;
        continue;
      }
      node->children.push_back({part, &spec, {}});
      node = &node->children.back();
    }
  }
  return root;
}

const KeyNode& key_tree(Kind kind) {
  // Never freed: no destructor runs at exit, where other threads may still validate.
  static const KeyNode* const server = new KeyNode(build_key_tree(server_key_table()));
  static const KeyNode* const tunnel = new KeyNode(build_key_tree(tunnel_key_table()));
  static const KeyNode* const relay = new KeyNode(build_key_tree(relay_key_table()));
  return kind == Kind::server ? *server : kind == Kind::tunnel ? *tunnel : *relay;
}

bool has_word(std::string_view words, std::string_view word) noexcept {
  while (!words.empty()) {
    size_t bar = std::min(words.find('|'), words.size());
    if (words.substr(0, bar) == word) return true;
    words.remove_prefix(std::min(bar + 1, words.size()));
  }
  return false;
}

std::span<const KeySpec> key_table(Kind kind) noexcept {
  return kind == Kind::server ? server_key_table() : kind == Kind::tunnel ? tunnel_key_table() : relay_key_table();
}

const KeySpec* find_key(Kind kind, std::string_view pattern) noexcept {
  const KeyNode* node = find_node(kind, pattern);
  return node ? node->spec : nullptr;
}

std::vector<std::string_view> child_keys(Kind kind, std::string_view pattern) {
  std::vector<std::string_view> out;
  if (const KeyNode* node = find_node(kind, pattern))
    for (const auto& child : node->children) out.push_back(child.name);
  return out;
}

std::string_view nearest_key(std::string_view word, std::span<const std::string_view> known) {
  if (word.empty() || word.size() > kMaxWord) return {};
  std::string_view best;
  size_t best_distance = SIZE_MAX;
  std::string wanted = folded(word);
  for (auto key : known) {
    if (key.size() > kMaxWord) continue;
    size_t d = distance(wanted, folded(key));
    if (d < best_distance) {
      best = key;
      best_distance = d;
    }
  }
  // Near: at most a third of the letters differ, and two in a short word.
  return best_distance <= std::max<size_t>(wanted.size() / 3, wanted.size() > 2 ? 2 : 1) ? best : std::string_view{};
}

const char* effect_name(Effect effect) noexcept {
  switch (effect) {
    case Effect::applied:
      return "applied";
    case Effect::listener_restart:
      return "needs_listener_restart";
    case Effect::server_restart:
      break;
  }
  return "needs_server_restart";
}

}  // namespace smartvpn::config
