// Puts the tool calls of one response together from their deltas, whatever a server does with indices and ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "runtime/model/message.h"

namespace weft::model {

class CallAssembler {
 public:
  enum class Added : std::uint8_t { kYes, kMalformed, kTooMany };

  explicit CallAssembler(std::size_t calls_max) : calls_max_(calls_max) {}

  // One element of `tool_calls`, at `position` of its list. `bytes` is raised by what it added.
  Added add(const Json& delta, std::size_t position, std::size_t& bytes);
  // As `add`, for the elements of a whole message, each of which is a call.
  Added add_whole(const Json& call, std::size_t& bytes);

  // As `add`, for an element that holds nothing but an index and a piece of arguments.
  Added add_piece(std::optional<std::int64_t> index, std::string_view arguments, std::size_t& bytes);

  bool empty() const { return slots_.empty(); }

  // The calls with unique ids and with arguments that are one JSON object each; `cut` says that the model ran out of
  // room, so that a last call without arguments was never finished. Nothing, and the reason, where one is not whole.
  struct Taken {
    std::vector<ToolCall> calls;
    std::string fault;  // Empty: all are whole.
    FailureKind kind = FailureKind::kTruncatedCall;
  };
  Taken take(bool cut);

 private:
  // Follows JSON text as it arrives, just far enough to see where the first value ends.
  struct Progress {
    std::size_t depth = 0;
    bool in_string = false;
    bool escaped = false;
    bool begun = false;
    bool whole = false;
    void follow(std::string_view text);
  };
  struct Slot {
    std::optional<std::int64_t> index;
    ToolCall call;
    Progress progress;
  };

  Slot* find(const Slot& piece, bool separate);
  Added read(const Json& delta, bool separate, std::size_t& bytes);
  Added put(Slot&& piece, bool separate, std::size_t& bytes);

  std::size_t calls_max_;
  std::vector<Slot> slots_;
};

}  // namespace weft::model
