// JSON text to tree. The library reads the text and says what comes; the tree is ours (json_value.hpp says why), and so
// is what the library would let pass: repeated keys and any depth.
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/secret.hpp"
#include "config/json_tree.hpp"

namespace smartvpn::config {
namespace {

using Library = nlohmann::json;

struct Level {
  Json* container = nullptr;   // where it stays until it is complete: what it lies in does not grow meanwhile
  std::string key;             // of the member being read
  std::set<std::string> seen;  // keys of an object
};

// Builds as the text goes; stops at the first fault. The JSON library calls it.
class Builder final : public nlohmann::json_sax<Library> {
 public:
  Builder(std::string_view text, std::string pointer, Json& out) : text_(text), base_(std::move(pointer)), out_(out) {}

  bool null() override { return add({}); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(Json(value)); }
  bool string(string_t& value) override {
    Json text(value);
    wipe(value);  // the library's buffer, where it is
    return add(std::move(text));
  }
  bool binary(binary_t&) override { return false; }  // not of texts
  bool start_object(size_t) override { return enter(Json::object()); }
  bool start_array(size_t) override { return enter(Json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    levels_.back().key = name;
    if (levels_.back().seen.insert(name).second) return true;
    return fail("the key comes twice");
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    size_t line = 1, column = 1;
    for (char c : text_.substr(0, position > 0 ? position - 1 : 0)) {
      column = c == '\n' ? 1 : column + 1;
      if (c == '\n') ++line;
    }
    return fail("not JSON at line " + std::to_string(line) + ", column " + std::to_string(column));
  }

  Error take_error() { return std::move(error_); }

 private:
  Json& place(Json value) {
    if (levels_.empty()) return out_ = std::move(value);
    Json& container = *levels_.back().container;
    if (container.is_array()) return container.push_back(std::move(value));
    return container.append(levels_.back().key, std::move(value));  // which is new: key() has seen to that
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool enter(Json container) {
    if (levels_.size() >= kMaxJsonDepth) return fail("nested too deeply");
    Json& placed = place(std::move(container));
    levels_.push_back({&placed, {}, {}});
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return true;
  }
  // Where a list has been read up to counts as the index of what follows.
  bool fail(std::string text) {
    std::string pointer = base_;
    for (size_t i = 0; i < levels_.size(); ++i) {
      const Level& level = levels_[i];
      const bool entered = i + 1 < levels_.size();
      if (level.container->is_array())
        pointer = join_pointer(pointer, std::to_string(level.container->size() - entered));
      else if (!level.key.empty())
        pointer = join_pointer(pointer, level.key);
    }
    error_ = make_error(Status::INVALID, std::move(text), std::move(pointer));
    return false;
  }

  std::string_view text_;
  std::string base_;
  Json& out_;
  std::vector<Level> levels_;
  Error error_;
};

}  // namespace

std::string join_pointer(const std::string& pointer, std::string_view part) {
  std::string out = pointer + '/';
  for (char c : part) out += c == '~' ? std::string("~0") : c == '/' ? std::string("~1") : std::string(1, c);
  return out;
}

Result<void> parse_json(std::string_view text, const std::string& pointer, Json& out) {
  if (text.size() > kMaxJsonBytes) return make_error(Status::INVALID, "longer than 64 MiB", pointer);
  Builder builder(text, pointer, out);
  if (!Library::sax_parse(text.begin(), text.end(), &builder)) return builder.take_error();
  return {};
}

Json fallback_of(const KeySpec& spec) {
  Json out;
  if (!spec.fallback.empty() && !parse_json(spec.fallback, {}, out)) out = {};
  return out;
}

}  // namespace smartvpn::config
