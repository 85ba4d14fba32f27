// A configuration under construction: a tree that is structurally valid at all times.
#include "config/document.hpp"

#include <charconv>

#include "base/secret.hpp"
#include "config/build.hpp"
#include "config/json_tree.hpp"

namespace smartvpn::config {
namespace {

// RFC 6901: "" is no part; otherwise parts after each '/', with ~0 and ~1.
std::optional<std::vector<std::string>> split_pointer(std::string_view pointer) {
  std::vector<std::string> parts;
  if (!pointer.empty() && pointer[0] != '/') return std::nullopt;
  for (size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      if (parts.size() >= kMaxJsonDepth) return std::nullopt;
      parts.emplace_back();
    } else if (pointer[i] != '~') {
      parts.back() += pointer[i];
    } else {
      char next = i + 1 < pointer.size() ? pointer[++i] : '\0';
      if (next != '0' && next != '1') return std::nullopt;
      parts.back() += next == '0' ? '~' : '/';
    }
  }
  return parts;
}

// "-" and `size` stand for the place behind the last element; leading zeros are no index.
std::optional<size_t> parse_index(const std::string& part, size_t size) {
  if (part == "-") return size;
  size_t value = 0;
  auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  bool whole = error == std::errc{} && end == part.data() + part.size();
  if (!whole || value > size || (part.size() > 1 && part[0] == '0')) return std::nullopt;
  return value;
}

// Where a pointer leads: the node of the key table, and whether every step can be made in the tree.
struct Place {
  const KeyNode* node = nullptr;
  std::string pointer;  // with "-" resolved
};

Result<Place> find_place(const KeyNode& root, const Json& tree, const std::vector<std::string>& parts) {
  Place place{&root, {}};
  const Json* at = &tree;  // null once the tree ends
  for (const auto& part : parts) {
    const KeyNode& node = *place.node;
    if (node.spec && node.spec->unsupported == "*")
      return make_error(Status::UNSUPPORTED, "is not supported by this build", place.pointer);
    if (node.type() == Type::array) {
      auto size = at ? at->size() : 0;
      auto index = parse_index(part, size);
      if (!index || static_cast<int64_t>(*index) >= node.spec->max || !node.element())
        return make_error(Status::INVALID, "is not an index of this list or its end",
                          join_pointer(place.pointer, part));
      at = *index < size ? &(*at)[*index] : nullptr;
      place = {node.element(), join_pointer(place.pointer, std::to_string(*index))};
    } else if (node.type() == Type::object) {
      const KeyNode* child = node.child(part);
      if (!child) return unknown_key(node, part, place.pointer);
      at = at ? at->find(part) : nullptr;
      place = {child, join_pointer(place.pointer, part)};
    } else {
      return make_error(Status::INVALID, "has no parts", place.pointer);
    }
  }
  return place;
}

// Makes what is missing on the way; find_place has said that the way exists.
Json& make_place(const KeyNode& root, Json& tree, const std::vector<std::string>& parts) {
  const KeyNode* node = &root;
  Json* at = &tree;
  for (const auto& part : parts) {
    bool in_array = node->type() == Type::array;
    node = in_array ? node->element() : node->child(part);
    Json empty = node->type() == Type::array ? Json::array() : Json::object();
    if (in_array) {
      size_t index = *parse_index(part, at->size());
      if (index == at->size()) at->push_back(std::move(empty));
      at = &(*at)[index];
    } else {
      if (!at->contains(part)) (*at)[part] = std::move(empty);
      at = &(*at)[part];
    }
  }
  return *at;
}

// Null where the tree ends before the pointer.
const Json* find_value(const Json& tree, const std::vector<std::string>& parts) {
  const Json* at = &tree;
  for (const auto& part : parts) {
    const size_t index = at->is_array() ? parse_index(part, at->size()).value_or(at->size()) : 0;
    at = !at->is_array() ? at->find(part) : index < at->size() ? &(*at)[index] : nullptr;
    if (!at) return nullptr;
  }
  return at;
}

void wipe_value(const KeyNode& node, Json& value) noexcept {
  if (node.spec && node.spec->secret && value.is_string())
    wipe(value.text());
  else
    wipe_secrets(node, value);
}

// Made on a copy, so that the tree stays as it was when memory does not suffice.
void put(const KeyNode& root, Json& tree, const std::vector<std::string>& parts, const KeyNode& node, Json&& value) {
  struct Copy {
    const KeyNode& root;
    Json json;
    ~Copy() { wipe_secrets(root, json); }
  } made{root, tree};
  Json& target = make_place(root, made.json, parts);
  wipe_value(node, target);
  target = std::move(value);
  std::swap(tree, made.json);
}

// Removing what is not there is no error.
void remove_place(const KeyNode& root, Json& tree, std::vector<std::string> parts) {
  std::string last = std::move(parts.back());
  parts.pop_back();
  const KeyNode* node = &root;
  Json* at = &tree;
  for (const auto& part : parts) {
    bool in_array = node->type() == Type::array;
    node = in_array ? node->element() : node->child(part);
    size_t index = in_array ? *parse_index(part, at->size()) : 0;
    if (in_array ? index >= at->size() : !at->contains(part)) return;
    at = in_array ? &(*at)[index] : &(*at)[part];
  }
  if (node->type() == Type::array) {
    size_t index = *parse_index(last, at->size());
    if (index >= at->size()) return;
    wipe_value(*node->element(), (*at)[index]);
    at->erase(index);
  } else if (at->contains(last)) {
    wipe_value(*node->child(last), (*at)[last]);
    at->erase(last);
  }
}

}  // namespace

struct Document::Impl {
  explicit Impl(Kind k) : kind(k), tree(k) {}
  const KeyNode& root() const { return key_tree(kind); }
  const Kind kind;
  SecretTree tree;
};

Document::Document(Kind kind) : impl_(std::make_unique<Impl>(kind)) {}
Document::Document(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

Kind Document::kind() const noexcept { return impl_->kind; }

Result<Document> Document::parse(std::string_view json, Kind kind) {
  Document out(kind);
  if (auto set = out.set({}, json); !set) return std::move(set).error();
  return out;
}

Result<void> Document::set(std::string_view pointer, std::string_view json_value) {
  auto parts = split_pointer(pointer);
  // An error's path begins with '/' or is empty, so that nobody who reads it meets another form.
  if (!parts)
    return make_error(Status::INVALID, "is not a JSON Pointer", std::string(pointer[0] == '/' ? pointer : ""));
  Json& tree = impl_->tree.json();
  auto place = find_place(impl_->root(), tree, *parts);
  if (!place) return std::move(place).error();
  // What is in it when something fails may be a secret.
  struct Wiped {
    const KeyNode& node;
    Json json;
    ~Wiped() { wipe_value(node, json); }
  } wiped{*place->node, {}};
  Json& value = wiped.json;
  if (auto parsed = parse_json(json_value, place->pointer, value); !parsed) return parsed;
  if (value.is_null() && !parts->empty()) {
    remove_place(impl_->root(), tree, std::move(*parts));
    return {};
  }
  if (value.is_null()) value = Json::object();
  if (auto checked = check_structure(*place->node, value, place->pointer, false); !checked) return checked;
  put(impl_->root(), tree, *parts, *place->node, std::move(value));
  return {};
}

std::string Document::to_json(bool with_secrets) const {
  if (with_secrets) return impl_->tree.json().dump() + "\n";
  Json visible = impl_->tree.json();
  remove_secrets(impl_->root(), visible);
  return visible.dump() + "\n";
}

Result<void> Document::validate() const {
  if (impl_->kind == Kind::server) {
    auto config = server_config();
    return config ? Result<void>() : Result<void>(std::move(config).error());
  }
  if (impl_->kind == Kind::relay) {
    auto config = relay_config();
    return config ? Result<void>() : Result<void>(std::move(config).error());
  }
  auto config = tunnel_config();
  return config ? Result<void>() : Result<void>(std::move(config).error());
}

Result<ServerConfig> Document::server_config() const {
  if (impl_->kind != Kind::server) return make_error(Status::BAD_STATE, "not the configuration of a server");
  auto checked = check_structure(impl_->root(), impl_->tree.json(), {}, true);
  if (!checked) return std::move(checked).error();
  return build_server_config(impl_->tree.json());
}

Result<TunnelConfig> Document::tunnel_config() const {
  if (impl_->kind != Kind::tunnel) return make_error(Status::BAD_STATE, "not the configuration of a tunnel");
  auto checked = check_structure(impl_->root(), impl_->tree.json(), {}, true);
  if (!checked) return std::move(checked).error();
  return build_tunnel_config(impl_->tree.json());
}

Result<RelayConfig> Document::relay_config() const {
  if (impl_->kind != Kind::relay) return make_error(Status::BAD_STATE, "not the configuration of a relay");
  auto checked = check_structure(impl_->root(), impl_->tree.json(), {}, true);
  if (!checked) return std::move(checked).error();
  return build_relay_config(impl_->tree.json());
}

Document Document::clone() const {
  Document out(impl_->kind);
  out.impl_->tree.json() = impl_->tree.json();
  return out;
}

std::vector<KeyChange> Document::changes_to(const Document& next) const {
  return compare(impl_->root(), impl_->tree.json(), next.impl_->tree.json());
}

void Document::take(const Document& next, const std::vector<KeyChange>& changes) {
  Json& tree = impl_->tree.json();
  for (const auto& change : changes) {
    const auto parts = *split_pointer(change.path);
    const Json* source = find_value(next.impl_->tree.json(), parts);
    if (!source) {
      remove_place(impl_->root(), tree, parts);
      continue;
    }
    Json& target = make_place(impl_->root(), tree, parts);
    wipe_value(*find_place(impl_->root(), tree, parts)->node, target);
    target = *source;
  }
}

}  // namespace smartvpn::config
