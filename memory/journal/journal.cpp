#include "memory/journal/journal.h"

#include <algorithm>

namespace weft::memory {

bool may_heal(const Error& error) {
  switch (error.code) {
    case Code::kAborted:
    case Code::kAlreadyExists:
    case Code::kInvalidArgument: return false;
    default: return std::ranges::none_of(error.details, [](const Detail& detail) { return detail.key == "history"; });
  }
}

}  // namespace weft::memory
