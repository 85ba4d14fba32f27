// JSON text to tree in two passes: the first finds what a tree cannot show (repeated keys, depth,
// where the text is broken), the second builds.
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "config/json_tree.hpp"

namespace smartvpn::config {
namespace {

struct Level {
  bool is_array = false;
  size_t index = 0;            // of the element being read
  std::string key;             // of the member being read
  std::set<std::string> seen;  // keys of an object
};

// Follows the text; stops at the first fault. The JSON library calls it.
class Checker final : public nlohmann::json_sax<Json> {
 public:
  Checker(std::string_view text, std::string pointer) : text_(text), base_(std::move(pointer)) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(size_t) override { return enter(false); }
  bool start_array(size_t) override { return enter(true); }
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
  bool enter(bool is_array) {
    if (levels_.size() >= kMaxJsonDepth) return fail("nested too deeply");
    levels_.push_back({is_array, 0, {}, {}});
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return value();
  }
  bool value() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }
  bool fail(std::string text) {
    std::string pointer = base_;
    for (const auto& level : levels_)
      if (level.is_array || !level.key.empty())
        pointer = join_pointer(pointer, level.is_array ? std::to_string(level.index) : level.key);
    error_ = make_error(Status::INVALID, std::move(text), std::move(pointer));
    return false;
  }

  std::string_view text_;
  std::string base_;
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
  Checker checker(text, pointer);
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) return checker.take_error();
  out = Json::parse(text.begin(), text.end(), nullptr, false);
  if (out.is_discarded()) return make_error(Status::INVALID, "not JSON", pointer);
  return {};
}

}  // namespace smartvpn::config
