// What differs between two configurations, key by key along the table: an absent key has its default, so
// that writing a default out, or leaving it out, is no change.
#include <algorithm>

#include "config/json_tree.hpp"

namespace smartvpn::config {
namespace {

// The default, or JSON's null where there is none.
Json default_of(const KeyNode& node) { return node.spec ? fallback_of(*node.spec) : Json(); }

// Without a copy: values may be secret.
bool same(const KeyNode& node, const Json* a, const Json* b) {
  if (!a && !b) return true;
  if (a && b) return *a == *b;
  return *(a ? a : b) == default_of(node);
}

const Json* member(const Json* object, const std::string& name) { return object ? object->find(name) : nullptr; }

// An object that means something by being there, as `tls` does: it has keys that it must have.
bool counts_by_presence(const KeyNode& node) {
  return node.spec && std::any_of(node.children.begin(), node.children.end(),
                                  [](const KeyNode& child) { return child.spec->required; });
}

class Comparison {
 public:
  void compare(const KeyNode& node, const Json* a, const Json* b, const std::string& pointer) {
    if (node.type() == Type::object) return compare_objects(node, a, b, pointer);
    const bool of_objects = node.type() == Type::array && node.element() && node.element()->type() == Type::object;
    if (of_objects && node.spec->effect != Effect::applied && a && b && a->size() == b->size()) {
      for (size_t i = 0; i < a->size(); ++i)
        compare(*node.element(), &(*a)[i], &(*b)[i], join_pointer(pointer, std::to_string(i)));
      return;
    }
    if (!same(node, a, b)) out_.push_back({pointer, node.spec->effect});
  }

  std::vector<KeyChange> take() {
    std::sort(out_.begin(), out_.end(), [](const KeyChange& a, const KeyChange& b) { return a.path < b.path; });
    return std::move(out_);
  }

 private:
  void compare_objects(const KeyNode& node, const Json* a, const Json* b, const std::string& pointer) {
    if (!a != !b && counts_by_presence(node)) {
      out_.push_back({pointer, node.spec->effect});
      return;
    }
    for (const auto& child : node.children) {
      const std::string name(child.name);
      compare(child, member(a, name), member(b, name), join_pointer(pointer, name));
    }
  }

  std::vector<KeyChange> out_;
};

}  // namespace

std::vector<KeyChange> compare(const KeyNode& root, const Json& present, const Json& next) {
  Comparison comparison;
  comparison.compare(root, &present, &next, {});
  return comparison.take();
}

}  // namespace smartvpn::config
