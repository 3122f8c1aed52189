#include "runtime/model/calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::model {
namespace {

constexpr std::size_t kNameBytesMax = 512;  // Of a call's id and of its name, which stand in events as they came.

// Reads an optional text: absent and null are empty. False where it is something else.
bool read_text(const Json& object, const char* name, std::string& out) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_string()) return false;
  out = found->get_ref<const std::string&>();
  return true;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

bool is_object(std::string_view text) {
  const Result<Json> parsed = parse_untrusted(text);
  return parsed && parsed->is_object();
}

}  // namespace

void CallAssembler::Progress::follow(std::string_view text) {
  for (const char c : text) {
    if (in_string) {
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = true;
      } else if (c == '"') {
        in_string = false;
      }
      continue;
    }
    if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      begun = true;
      ++depth;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
    if (begun && depth == 0) whole = true;
  }
}

// The slot that a piece continues, or null where it begins a call. Servers were seen that give all calls the index 0,
// that leave the index or the id out, that repeat id and name with every piece, and that use one id twice.
CallAssembler::Slot* CallAssembler::find(const Slot& piece, bool separate) {
  if (separate) return nullptr;
  const ToolCall& given = piece.call;
  const auto latest = [&](auto&& fits) {
    const auto found = std::find_if(slots_.rbegin(), slots_.rend(), [&](const Slot& slot) {
      return (!piece.index || slot.index == piece.index) && fits(slot.call.id);
    });
    return found == slots_.rend() ? nullptr : &*found;
  };
  Slot* slot = nullptr;
  if (!given.id.empty()) slot = latest([&](const std::string& known) { return known == given.id; });
  // The id may come late, or only with the first piece.
  if (slot == nullptr) slot = latest([&](const std::string& known) { return given.id.empty() || known.empty(); });
  if (slot == nullptr) return nullptr;
  if (!given.name.empty() && !slot->call.name.empty()) {
    if (given.name != slot->call.name) return nullptr;
    if (slot->progress.whole && trim(given.arguments).starts_with('{')) return nullptr;
  }
  return slot;
}

CallAssembler::Added CallAssembler::read(const Json& delta, bool separate, std::size_t& bytes) {
  if (!delta.is_object()) return Added::kMalformed;
  Slot piece;
  if (const auto found = delta.find("index"); found != delta.end() && found->is_number_integer()) {
    piece.index = found->get<std::int64_t>();
  }
  if (!read_text(delta, "id", piece.call.id) || piece.call.id.size() > kNameBytesMax) return Added::kMalformed;
  if (const auto function = delta.find("function"); function != delta.end() && !function->is_null()) {
    if (!function->is_object() || !read_text(*function, "name", piece.call.name)) return Added::kMalformed;
    if (piece.call.name.size() > kNameBytesMax) return Added::kMalformed;
    const auto given = function->find("arguments");
    if (given != function->end() && given->is_object()) {
      piece.call.arguments = to_text(*given);  // Some servers give the object itself.
    } else if (!read_text(*function, "arguments", piece.call.arguments)) {
      return Added::kMalformed;
    }
  }
  return put(std::move(piece), separate, bytes);
}

CallAssembler::Added CallAssembler::put(Slot&& piece, bool separate, std::size_t& bytes) {
  ToolCall& given = piece.call;
  if (given == ToolCall{} && !separate) return Added::kYes;  // Says nothing.
  bytes += given.arguments.size();
  piece.progress.follow(given.arguments);
  Slot* const slot = find(piece, separate);
  if (slot == nullptr) {
    if (slots_.size() >= calls_max_) return Added::kTooMany;
    bytes += given.id.size() + given.name.size();
    slots_.push_back(std::move(piece));
    return Added::kYes;
  }
  if (slot->call.id.empty()) slot->call.id = std::move(given.id);
  if (slot->call.name.empty()) slot->call.name = std::move(given.name);
  slot->call.arguments += given.arguments;
  slot->progress.follow(given.arguments);
  return Added::kYes;
}

CallAssembler::Added CallAssembler::add_piece(std::optional<std::int64_t> index, std::string_view arguments,
                                              std::size_t& bytes) {
  Slot piece;
  piece.index = index;
  piece.call.arguments = arguments;
  const bool separate = false;
  return put(std::move(piece), separate, bytes);
}

CallAssembler::Added CallAssembler::add(const Json& delta, std::size_t position, std::size_t& bytes) {
  // Elements of one list without an index are calls of their own.
  const bool separate = position > 0 && delta.is_object() && !delta.contains("index");
  return read(delta, separate, bytes);
}

CallAssembler::Added CallAssembler::add_whole(const Json& call, std::size_t& bytes) {
  const bool separate = true;
  return read(call, separate, bytes);
}

CallAssembler::Taken CallAssembler::take(bool cut) {
  Taken taken;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    ToolCall& call = slots_[i].call;
    if (call.name.empty()) {
      taken.fault = fmt::format("tool call {} has no name", i + 1);
      taken.kind = FailureKind::kMalformed;
      return taken;
    }
    if (trim(call.arguments).empty()) {
      if (cut && i + 1 == slots_.size()) {
        taken.fault = fmt::format("the call of \"{}\" was cut off before its arguments", call.name);
        return taken;
      }
      call.arguments = "{}";
    } else if (!is_object(call.arguments)) {
      taken.fault = fmt::format("the arguments of the call of \"{}\" are not one JSON object", call.name);
      return taken;
    }
  }
  // Ids that servers gave stay, the first of two equal ones too; the rest get numbers that nobody has.
  const auto used = [&](std::size_t before, const std::string& id) {
    return std::any_of(taken.calls.begin(), taken.calls.end(), [&](const ToolCall& c) { return c.id == id; }) ||
           std::any_of(slots_.begin() + static_cast<std::ptrdiff_t>(before), slots_.end(),
                       [&](const Slot& s) { return s.call.id == id; });
  };
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    ToolCall call = std::move(slots_[i].call);
    const bool taken_before =
        std::any_of(taken.calls.begin(), taken.calls.end(), [&](const ToolCall& c) { return c.id == call.id; });
    if (call.id.empty() || taken_before) {
      std::size_t number = i + 1;
      do call.id = fmt::format("call_{}", number++);
      while (used(i + 1, call.id));
    }
    taken.calls.push_back(std::move(call));
  }
  slots_.clear();
  return taken;
}

}  // namespace weft::model
