// The walk of a tree along a key table: unknown keys, types, ranges, what is not built, secrets.
#include "base/secret.hpp"
#include "config/json_tree.hpp"
#include "config/server_config.hpp"

namespace smartvpn::config {
namespace {

// Whether the value is the key's default, which is always built.
bool is_fallback(const KeySpec& spec, const Json& value) {
  return !spec.fallback.empty() && fallback_of(spec) == value;
}

bool is_not_built(const KeySpec& spec, const Json& value) {
  if (spec.unsupported == "*") return !is_fallback(spec, value);
  return spec.type == Type::choice && value.is_string() && has_word(spec.unsupported, value.text());
}

Result<void> check_object(const KeyNode& node, const Json& value, const std::string& pointer, bool complete) {
  if (!value.is_object()) return make_error(Status::INVALID, "must be an object", pointer);
  for (const auto& [name, member] : value.members()) {
    const KeyNode* child = node.child(name);
    if (!child) return unknown_key(node, name, pointer);
    if (auto checked = check_structure(*child, member, join_pointer(pointer, name), complete); !checked) return checked;
  }
  if (!complete) return {};
  for (const auto& child : node.children)
    if (child.spec->required && !value.contains(child.name))
      return make_error(Status::INVALID, "is required", join_pointer(pointer, child.name));
  return {};
}

Result<void> check_array(const KeyNode& node, const Json& value, const std::string& pointer, bool complete) {
  if (!value.is_array()) return make_error(Status::INVALID, "must be a list", pointer);
  auto size = static_cast<int64_t>(value.size());
  if (complete && size < node.spec->min)
    return make_error(Status::INVALID, "needs at least " + std::to_string(node.spec->min) + " entry", pointer);
  if (size > node.spec->max)
    return make_error(Status::INVALID, "has more than " + std::to_string(node.spec->max) + " entries", pointer);
  for (size_t i = 0; i < value.size(); ++i) {
    auto checked = check_structure(*node.element(), value[i], join_pointer(pointer, std::to_string(i)), complete);
    if (!checked) return checked;
  }
  return {};
}

// Calls `visit(spec, parent, place)` for every secret in the tree. Needs no memory: secrets are wiped by destructors.
template <class Visit>
void for_each_secret(const KeyNode& node, Json& value, const Visit& visit) {
  if (node.type() == Type::array && value.is_array() && node.element()) {
    for (auto& element : value) for_each_secret(*node.element(), element, visit);
    return;
  }
  if (!value.is_object()) return;
  for (const auto& child : node.children) {
    Json* found = value.find(child.name);
    if (!found) continue;
    if (child.spec->secret)
      visit(*child.spec, value, *found);
    else
      for_each_secret(child, *found, visit);
  }
}

}  // namespace

Error unknown_key(const KeyNode& object, std::string_view name, const std::string& pointer) {
  std::vector<std::string_view> known;
  for (const auto& child : object.children) known.push_back(child.name);
  std::string text = "unknown key";
  auto nearest = nearest_key(name, known);
  if (!nearest.empty()) text += "; did you mean \"" + std::string(nearest) + "\"?";
  return make_error(Status::INVALID, std::move(text), join_pointer(pointer, name));
}

Result<void> check_structure(const KeyNode& node, const Json& value, const std::string& pointer, bool complete) {
  if (node.spec && is_not_built(*node.spec, value))
    return make_error(Status::UNSUPPORTED, "is not supported by this build", pointer);
  if (node.type() == Type::object) return check_object(node, value, pointer, complete);
  if (node.type() == Type::array) return check_array(node, value, pointer, complete);
  if (auto wrong = wrong_value(*node.spec, value)) return make_error(Status::INVALID, std::move(*wrong), pointer);
  return {};
}

void remove_secrets(const KeyNode& node, Json& value) {
  for_each_secret(node, value, [](const KeySpec& spec, Json& parent, Json& found) {
    // The path of a key file tells nothing.
    if (spec.type == Type::pem && !(found.is_string() && is_pem_text(found.text()))) return;
    if (found.is_string()) wipe(found.text());
    parent.erase(spec.path.substr(spec.path.rfind('/') + 1));
  });
}

void wipe_secrets(const KeyNode& node, Json& value) noexcept {
  for_each_secret(node, value, [](const KeySpec&, Json&, Json& found) {
    if (found.is_string()) wipe(found.text());
  });
}

}  // namespace smartvpn::config
