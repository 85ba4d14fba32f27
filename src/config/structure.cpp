// The walk of a tree along a key table: unknown keys, types, ranges, what is not built, secrets.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/secret.hpp"
#include "config/json_tree.hpp"
#include "config/server_config.hpp"

namespace smartvpn::config {
namespace {

// Whether the value is the key's default, which is always built.
bool is_fallback(const KeySpec& spec, const Json& value) {
  return !spec.fallback.empty() && Json::parse(spec.fallback, nullptr, false) == value;
}

bool is_not_built(const KeySpec& spec, const Json& value) {
  if (spec.unsupported == "*") return !is_fallback(spec, value);
  if (spec.type == Type::choice && value.is_string())
    return has_word(spec.unsupported, value.get_ref<const std::string&>());
  return spec.type == Type::integer && value.is_number_integer() && value.get<int64_t>() > spec.built_max &&
         value.get<int64_t>() <= spec.max;
}

Result<void> check_object(const KeyNode& node, const Json& value, const std::string& pointer, bool complete) {
  if (!value.is_object()) return make_error(Status::INVALID, "must be an object", pointer);
  for (const auto& [name, member] : value.items()) {
    const KeyNode* child = node.child(name);
    if (!child) return unknown_key(node, name, pointer);
    if (auto checked = check_structure(*child, member, join_pointer(pointer, name), complete); !checked) return checked;
  }
  if (!complete) return {};
  for (const auto& child : node.children)
    if (child.spec->required && !value.contains(std::string(child.name)))
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

// Calls `visit(spec, parent, place)` for every secret in the tree. Throws nothing and needs no memory of its own:
// secrets are wiped by destructors.
template <class Visit>
void for_each_secret(const KeyNode& node, Json& value, const Visit& visit) {
  if (node.type() == Type::array && node.element()) {
    if (auto* array = value.get_ptr<Json::array_t*>())
      for (auto& element : *array) for_each_secret(*node.element(), element, visit);
    return;
  }
  auto* object = value.get_ptr<Json::object_t*>();
  if (!object) return;
  for (const auto& child : node.children) {
    // Not find(), which makes a string of the name in older versions of the JSON library.
    auto found = std::find_if(object->begin(), object->end(), [&](auto& member) { return member.first == child.name; });
    if (found == object->end()) continue;
    if (child.spec->secret)
      visit(*child.spec, *object, found);
    else
      for_each_secret(child, found->second, visit);
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
  for_each_secret(node, value, [](const KeySpec& spec, Json::object_t& parent, const Json::object_t::iterator& found) {
    auto* text = found->second.get_ptr<std::string*>();
    // The path of a key file tells nothing.
    if (spec.type == Type::pem && !(text && is_pem_text(*text))) return;
    if (text) wipe(*text);
    parent.erase(found);
  });
}

void wipe_secrets(const KeyNode& node, Json& value) noexcept {
  for_each_secret(node, value, [](const KeySpec&, Json::object_t&, const Json::object_t::iterator& found) {
    if (auto* text = found->second.get_ptr<std::string*>()) wipe(*text);
  });
}

SecretTree::SecretTree(Kind kind) : root_(key_tree(kind)), json_(new Json(Json::object())) {}

SecretTree::~SecretTree() {
  wipe_secrets(root_, *json_);
  delete json_;
}

}  // namespace smartvpn::config
