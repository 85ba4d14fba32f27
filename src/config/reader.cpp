// Accessors over an accepted tree.
#include "config/reader.hpp"

namespace smartvpn::config {

const Json* Reader::find(std::string_view key) const { return json_ ? json_->find(key) : nullptr; }

std::vector<Reader> Reader::list(std::string_view key) const {
  std::vector<Reader> out;
  const Json* found = find(key);
  if (!found || !found->is_array()) return out;
  out.reserve(found->size());
  for (const auto& element : *found) out.push_back(Reader(&element));
  return out;
}

std::string Reader::text() const { return json_ && json_->is_string() ? json_->text() : std::string(); }

std::optional<int64_t> Reader::integer(std::string_view key) const {
  const Json* found = find(key);
  return found && found->is_integer() ? std::optional(found->integer()) : std::nullopt;
}

std::optional<bool> Reader::boolean(std::string_view key) const {
  const Json* found = find(key);
  return found && found->is_boolean() ? std::optional(found->boolean()) : std::nullopt;
}

void Reader::read(std::string_view key, std::string& out) const {
  if (const Json* found = find(key); found && found->is_string()) out = found->text();
}

void Reader::read(std::string_view key, bool& out) const {
  if (auto value = boolean(key)) out = *value;
}

void Reader::read(std::string_view key, std::vector<std::string>& out) const {
  if (!has(key)) return;
  out.clear();
  for (const auto& element : list(key)) out.push_back(element.text());
}

void Reader::read(std::string_view key, std::vector<inet::IpAddress>& out) const {
  if (!has(key)) return;
  out.clear();
  for (const auto& element : list(key))
    if (auto ip = inet::IpAddress::parse(element.text())) out.push_back(*ip);
}

void Reader::read(std::string_view key, std::vector<inet::Cidr>& out) const {
  if (!has(key)) return;
  out.clear();
  for (const auto& element : list(key))
    if (auto cidr = inet::Cidr::parse(element.text(), false)) out.push_back(*cidr);
}

void Reader::read(std::string_view key, std::optional<inet::Endpoint>& out) const {
  if (const Json* found = find(key); found && found->is_string()) out = inet::Endpoint::parse(found->text());
}

void Reader::read(std::string_view key, std::optional<SecretKey>& out) const {
  if (const Json* found = find(key); found && found->is_string()) out = parse_secret_key(found->text());
}

void Reader::read(std::string_view key, std::vector<PortRange>& out) const {
  const Json* found = find(key);
  if (!found) return;
  out.clear();
  auto port = [](const Json& value) { return static_cast<uint16_t>(value.integer()); };
  auto add = [&](const Json& value) {
    if (value.is_object())
      out.push_back({port(*value.find("from")), port(*value.find("to"))});
    else
      out.push_back({port(value), port(value)});
  };
  if (!found->is_array()) return add(*found);
  for (const auto& entry : *found) add(entry);
}

void Reader::read(std::string_view key, PublicKey& out) const {
  const Json* found = find(key);
  if (!found || !found->is_string()) return;
  if (auto parsed = parse_public_key(found->text())) out = *parsed;
}

}  // namespace smartvpn::config
