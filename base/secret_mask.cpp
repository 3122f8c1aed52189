// Each secret is a few needles: its bytes, their hexadecimal digits, and three of base64, one for each place at which
// it may begin within a group of three bytes. A table of pairs of bytes says where a needle may begin at all, so that
// nearly every byte of a text costs one look; there the needles are tried, byte by byte, through whatever escapes stand
// in the text.
#include "base/secret_mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/escapes.h"

namespace weft {
namespace {

constexpr std::uint8_t kNoDigit = 0x80;
// Ways in which one place of a text is tried. More than one needs a secret of backslashes, per cents or ampersands.
constexpr std::size_t kWaysMax = 64;

using Table = std::array<std::uint8_t, 256>;

constexpr Table make_bytes() {
  Table table{};
  for (std::size_t c = 0; c < table.size(); ++c) table[c] = static_cast<std::uint8_t>(c);
  return table;
}

constexpr Table make_hex() {
  Table table = make_bytes();
  for (std::size_t c = 'A'; c <= 'F'; ++c) table[c] = static_cast<std::uint8_t>(c - 'A' + 'a');
  return table;
}

constexpr Table make_base64() {
  Table table{};
  table.fill(kNoDigit);
  for (std::uint8_t i = 0; i < 26; ++i) {
    table['A' + i] = i;
    table['a' + i] = static_cast<std::uint8_t>(26 + i);
  }
  for (std::uint8_t i = 0; i < 10; ++i) table['0' + i] = static_cast<std::uint8_t>(52 + i);
  table['+'] = table['-'] = 62;
  table['/'] = table['_'] = 63;
  return table;
}

constexpr std::array<Table, 3> kTables = {make_bytes(), make_hex(), make_base64()};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) + 1 - from);
}

bool is_number(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

bool is_line_break(char c) { return c == '\n' || c == '\r'; }

}  // namespace

std::optional<std::string> SecretMask::unmaskable(std::string_view value) {
  value = trimmed(value);
  if (value.size() < kSecretBytesMin) return fmt::format("it has fewer than {} bytes", kSecretBytesMin);
  if (value.size() > kSecretBytesMax) return fmt::format("it has more than {} bytes", kSecretBytesMax);
  std::bitset<256> different;
  for (const char c : value) different.set(static_cast<unsigned char>(c));
  if (different.count() < kDifferentBytesMin) {
    return fmt::format("it has fewer than {} different bytes", kDifferentBytesMin);
  }
  const auto all = [&](char from, char to) {
    return std::ranges::all_of(value, [&](char c) { return c >= from && c <= to; });
  };
  if (value.size() <= kWordBytesMax && (all('a', 'z') || all('A', 'Z') || all('0', '9'))) {
    return fmt::format("it has at most {} bytes and is letters of one case alone, or digits alone", kWordBytesMax);
  }
  return std::nullopt;
}

SecretMask::SecretMask(const std::vector<Secret>& secrets) {
  for (const Secret& secret : secrets) {
    if (unmaskable(secret.value)) continue;
    const std::string_view value = trimmed(secret.value);
    const std::size_t number = masks_.size();
    masks_.push_back(fmt::format("[secret {}]", secret.name));
    has_numbers_ = has_numbers_ || is_number(value);
    Needle bytes{Alphabet::kBytes, {}, number, kSecretBytesMin};
    for (const char c : value) bytes.units.push_back({0xFF, static_cast<std::uint8_t>(c)});
    bytes.backslashes = value.find_first_not_of('\\');  // There are others: it has different bytes.
    backslashes_ = std::max(backslashes_, bytes.backslashes);
    Needle hex{Alphabet::kHex, {}, number, 2 * kSecretBytesMin};
    for (const char c : to_hex(value)) hex.units.push_back({0xFF, static_cast<std::uint8_t>(c)});
    add(std::move(bytes));
    add(std::move(hex));
    for (std::size_t before = 0; before < 3; ++before) {
      // `before` bytes of something else stand in the secret's first group of three.
      Needle base64{Alphabet::kBase64, {}, number, 2 * kSecretBytesMin};
      const std::size_t first_bit = before * 8;
      const std::size_t end_bit = first_bit + value.size() * 8;
      for (std::size_t bit = first_bit / 6 * 6; bit < end_bit; bit += 6) {
        Unit unit{kNoDigit, 0};
        for (std::size_t i = 0; i < 6; ++i) {
          const std::size_t at = bit + i;
          if (at < first_bit || at >= end_bit) continue;
          const auto byte = static_cast<unsigned char>(value[(at - first_bit) / 8]);
          const auto weight = static_cast<std::uint8_t>(0x20 >> i);
          unit.mask |= weight;
          if ((byte >> (7 - (at - first_bit) % 8) & 1) != 0) unit.value |= weight;
        }
        base64.units.push_back(unit);
      }
      add(std::move(base64));
    }
  }
}

bool SecretMask::fits(const Needle& needle, std::size_t unit, char byte) {
  const Unit& wanted = needle.units[unit];
  const Table& table = kTables[static_cast<std::size_t>(std::to_underlying(needle.alphabet))];
  return (table[static_cast<unsigned char>(byte)] & wanted.mask) == wanted.value;
}

void SecretMask::add(Needle needle) {
  note_pairs(needle);
  const auto number = static_cast<std::uint32_t>(needles_.size());
  for (std::size_t c = 0; c < 256; ++c) {
    if (fits(needle, 0, static_cast<char>(c))) by_first_[c].push_back(number);
  }
  needles_.push_back(std::move(needle));
}

// With which two bytes a text of this needle may begin.
void SecretMask::note_pairs(const Needle& needle) {
  std::bitset<256> second;
  for (std::size_t c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    if (fits(needle, 1, byte) || begins_escape(byte)) second.set(c);
    if (needle.alphabet == Alphabet::kBase64 && is_line_break(byte)) second.set(c);
  }
  for (std::size_t first = 0; first < 256; ++first) {
    if (!fits(needle, 0, static_cast<char>(first))) continue;
    for (std::size_t c = 0; c < 256; ++c) {
      if (second.test(c)) set_pair(first, c);
      if (first == ' ') set_pair('+', c);
    }
    note_escapes(static_cast<unsigned char>(first));
  }
}

// What may stand behind the first character of an escape of this byte.
void SecretMask::note_escapes(unsigned char byte) {
  const char digit = to_hex(std::string_view(reinterpret_cast<const char*>(&byte), 1))[0];
  for (const char c : {digit, static_cast<char>(std::toupper(static_cast<unsigned char>(digit))), '2'}) {
    set_pair('%', static_cast<unsigned char>(c));  // The 2 of %25, an encoded per cent.
  }
  for (const char c : std::string_view("\\ux\"/bfnrt")) {
    const char text[] = {'\\', c};
    const Readings readings = readings_at({text, sizeof text}, 0);
    const auto means = [&](const Unescaped& reading) { return static_cast<unsigned char>(reading.bytes[0]) == byte; };
    const auto* const end = readings.list.begin() + readings.count;
    if (readings.cut || std::any_of(readings.list.begin(), end, means)) set_pair('\\', static_cast<unsigned char>(c));
  }
  set_pair('&', '#');
  for (const auto& [c, meant] : {std::pair{'a', '&'}, {'a', '\''}, {'l', '<'}, {'g', '>'}, {'q', '"'}}) {
    if (static_cast<unsigned char>(meant) == byte) set_pair('&', static_cast<unsigned char>(c));
  }
}

SecretMask::Found SecretMask::match(const Needle& needle, std::string_view text, std::size_t at, End end) const {
  struct Way {
    std::size_t unit;
    std::size_t at;
    // Within a run of backslashes that stand for some: so many stand for each, since a run was escaped as a whole.
    std::size_t level;
    bool operator==(const Way&) const = default;
  };
  Found found{0, needle.secret, false};
  std::array<Way, kWaysMax> ways;
  std::size_t count = 0;
  const auto go = [&](Way way) {
    if (count < kWaysMax && std::find(ways.begin(), ways.begin() + static_cast<std::ptrdiff_t>(count), way) ==
                                ways.begin() + static_cast<std::ptrdiff_t>(count)) {
      ways[count++] = way;
    }
  };
  const auto ends = [&](std::size_t unit) {
    if (end == End::kGoesOn) found.more = true;
    if (end == End::kCut && unit >= needle.cut_min) found.end = text.size();
  };
  const bool base64 = needle.alphabet == Alphabet::kBase64;
  const auto follow = [&](Way way, const Unescaped& reading) {
    const std::size_t behind = way.at + reading.length;
    if (base64 && way.unit > 0 && is_line_break(reading.bytes[0])) return go({way.unit, behind, 0});
    const bool doubled = reading.bytes[0] == '\\' && text[way.at] == '\\' && text[behind - 1] == '\\';
    if (doubled && way.level != 0 && way.level != reading.length) return;
    std::size_t fitting = 0;
    while (fitting < reading.count && way.unit + fitting < needle.units.size() &&
           fits(needle, way.unit + fitting, reading.bytes[fitting])) {
      ++fitting;
    }
    if (fitting == reading.count) go({way.unit + fitting, behind, doubled ? reading.length : std::size_t{0}});
  };
  go({0, at, 0});
  for (std::size_t next = 0; next < count; ++next) {
    Way way = ways[next];
    while (way.unit < needle.units.size() && way.at < text.size()) {
      const char c = text[way.at];
      if (begins_escape(c)) {
        const Readings readings = readings_at(text, way.at);
        for (std::size_t i = 0; i < readings.count; ++i) follow(way, readings.list[i]);
        if (readings.cut) ends(way.unit);
      }
      const bool skipped = base64 && way.unit > 0 && is_line_break(c);
      if (!skipped && (!fits(needle, way.unit, c) || (c == '\\' && way.level > 1))) break;
      way.level = c == '\\' ? 1 : 0;
      if (!skipped) ++way.unit;
      ++way.at;
    }
    if (way.unit == needle.units.size()) {
      found.end = std::max(found.end, way.at);
    } else if (way.at == text.size()) {
      ends(way.unit);
    }
  }
  return found;
}

// The longest secret that begins at `at`.
SecretMask::Found SecretMask::find_at(std::string_view text, std::size_t at, End end) const {
  Found best;
  const auto try_needles = [&](char first) {
    for (const std::uint32_t number : by_first_[static_cast<unsigned char>(first)]) {
      const Found found = match(needles_[number], text, at, end);
      const bool more = best.more || found.more;
      if (found.end > best.end) best = found;
      best.more = more;
    }
  };
  try_needles(text[at]);
  if (!begins_escape(text[at])) return best;
  const Readings readings = readings_at(text, at);
  std::bitset<256> tried;
  tried.set(static_cast<unsigned char>(text[at]));
  for (std::size_t i = 0; i < readings.count; ++i) {
    const char first = readings.list[i].bytes[0];
    if (!tried.test(static_cast<unsigned char>(first))) try_needles(first);
    tried.set(static_cast<unsigned char>(first));
  }
  best.more = best.more || (readings.cut && end == End::kGoesOn);
  return best;
}

// Whether a secret may begin within a run of backslashes that ends at `behind`, before neither u nor x: its own then
// take the run up, each written with as many, but for the escape of what comes behind.
bool SecretMask::may_begin(std::string_view text, std::size_t at, std::size_t behind) const {
  const std::size_t run = behind - at;
  if (run <= kBackslashesMax) return true;
  const Readings escaped = readings_at(text, behind - 1);
  return std::ranges::any_of(by_first_[static_cast<unsigned char>('\\')], [&](std::uint32_t number) {
    const Needle& needle = needles_[number];
    const bool plain = begins_escape(text[behind]) || fits(needle, needle.backslashes, text[behind]);
    const bool escapes = escaped.count > 0 && fits(needle, needle.backslashes, escaped.list[0].bytes[0]);
    for (std::size_t level = 1; level <= kBackslashesMax; level *= 2) {
      const std::size_t own = needle.backslashes * level;
      if ((plain && run == own) || (escapes && run > own && run - own <= kBackslashesMax)) return true;
    }
    return false;
  });
}

// Only the last backslashes of a run can belong to a secret: those that it begins with, and the escape of what comes
// behind. Where none begins with one, the backslashes say only how often a character was escaped, and a run is tried at
// one place. Returns where, or behind the run where its character begins no secret.
std::size_t SecretMask::pass_backslashes(std::string_view text, std::size_t at, End end) const {
  const std::size_t behind = std::min(text.find_first_not_of('\\', at), text.size());
  const std::size_t first = std::max(at, behind - std::min(behind, kBackslashesMax * (backslashes_ + 1)));
  if (behind == text.size()) return end == End::kGoesOn || (end == End::kCut && backslashes_ > 0) ? first : behind;
  if (text[behind] == 'u' || text[behind] == 'x') return first;
  if (backslashes_ > 0) {
    std::size_t place = first;
    while (place < behind && !may_begin(text, place, behind)) ++place;
    return place;
  }
  const Readings readings = readings_at(text, behind - 1);
  const bool begins = readings.count > 0 && !by_first_[static_cast<unsigned char>(readings.list[0].bytes[0])].empty();
  return begins ? first : behind;
}

// The first secret that begins in [from, to) and ends behind `past`, or may do so; at `to`: none.
SecretMask::Hit SecretMask::next(std::string_view text, std::size_t from, std::size_t to, std::size_t past,
                                 End end) const {
  for (std::size_t at = from; at < to;) {
    const auto first = static_cast<unsigned char>(text[at]);
    const bool last = at + 1 == text.size();
    if (!last && !has_pair(first, static_cast<unsigned char>(text[at + 1]))) {
      ++at;
      continue;
    }
    if (const std::size_t place = first == '\\' ? pass_backslashes(text, at, end) : at; place != at) {
      at = place;
      continue;
    }
    const Found found = find_at(text, at, end);
    if (found.more || found.end > past) return {at, found};
    const bool tried = first == '\\' && backslashes_ == 0;
    at = tried ? std::min(text.find_first_not_of('\\', at), text.size()) : at + 1;
  }
  return {to, {}};
}

std::size_t SecretMask::scan(std::string_view text, End end, std::string& out, bool& masked) const {
  std::size_t from = 0;  // What is not in `out` yet.
  const auto copy_up_to = [&](std::size_t at) {
    if (at > from) out.append(text, from, at - from);
  };
  Hit hit = next(text, 0, text.size(), 0, end);
  while (hit.at < text.size()) {
    // A longer one may yet begin here, so a whole one waits as well; and so does one within which another may begin.
    const bool whole = !hit.found.more;
    const Hit within = whole ? next(text, hit.at + 1, hit.found.end, hit.found.end, end) : hit;
    if (within.found.more) {
      copy_up_to(hit.at);
      return hit.at;
    }
    copy_up_to(hit.at);
    out += masks_[hit.found.secret];
    masked = true;
    from = hit.found.end;
    hit = within.at < from ? within : next(text, from, text.size(), from, end);
  }
  copy_up_to(text.size());
  return text.size();
}

bool SecretMask::mask(std::string& text) const {
  if (empty()) return false;
  std::string out;
  bool masked = false;
  scan(text, End::kWhole, out, masked);
  if (masked) text = std::move(out);
  return masked;
}

bool SecretMask::mask_cut(std::string& text) const {
  if (empty()) return false;
  std::string out;
  bool masked = false;
  scan(text, End::kCut, out, masked);
  if (masked) text = std::move(out);
  return masked;
}

bool SecretMask::mask_names(Json& object) const {
  auto& members = static_cast<std::vector<Json::object_t::value_type>&>(object.get_ref<Json::object_t&>());
  std::vector<std::string> names;
  bool masked = false;
  for (const auto& member : members) masked = mask(names.emplace_back(member.first)) || masked;
  if (!masked) return false;
  Json renamed = Json::object();
  auto& into = static_cast<std::vector<Json::object_t::value_type>&>(renamed.get_ref<Json::object_t&>());
  for (std::size_t i = 0; i < members.size(); ++i) {
    // Two names may have become one.
    std::string name = names[i];
    for (int number = 2; renamed.contains(name); ++number) name = fmt::format("{} {}", names[i], number);
    into.emplace_back(std::move(name), std::move(members[i].second));
  }
  object = std::move(renamed);
  return true;
}

bool SecretMask::mask(Json& value) const {
  if (empty()) return false;
  bool masked = false;
  switch (value.type()) {
    case Json::value_t::object:
      for (auto& [name, member] : value.get_ref<Json::object_t&>()) masked = mask(member) || masked;
      return mask_names(value) || masked;
    case Json::value_t::array:
      for (Json& element : value) masked = mask(element) || masked;
      return masked;
    case Json::value_t::string: return mask(value.get_ref<std::string&>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float: {
      if (!has_numbers_) return false;
      std::string text = to_text(value);
      if (!mask(text)) return false;
      value = std::move(text);
      return true;
    }
    default: return false;
  }
}

bool SecretMask::mask_body(std::string& bytes) const {
  if (empty()) return false;
  if (auto value = parse_untrusted(bytes)) {
    if (!mask(*value)) return false;
    bytes = to_text(*value);
    return true;
  }
  return mask_cut(bytes);
}

std::string SecretMask::Stream::feed(std::string_view piece) {
  if (!mask_ || mask_->empty()) return std::string(piece);
  std::string text = std::exchange(held_, {});
  text += piece;
  std::string out;
  bool masked = false;
  held_ = text.substr(mask_->scan(text, End::kGoesOn, out, masked));
  return out;
}

std::string SecretMask::Stream::finish() {
  std::string rest = std::exchange(held_, {});
  if (mask_) mask_->mask(rest);
  return rest;
}

}  // namespace weft
