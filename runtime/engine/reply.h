// The answer that a caller waits for.
//
// Invariants:
//  1. A Reply is answered exactly once: by the one who calls it or, where it is destroyed before that, with
//  UNAVAILABLE.
//     So no way out of the engine (a lost store, a stopped loop, a dropped queue) leaves a caller waiting.
//  2. Answering it a second time, or after it was moved from, ends the program.
#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace weft::engine {

// What a caller is told whose request was dropped: it may have taken effect.
inline constexpr std::string_view kDropped =
    "weft let this request go before its outcome was known, since it is stopping or does not serve the run any more; "
    "`weft runs` and `weft trace` show what became of it";

// Move-only. The function runs on the thread that answers or destroys; it must not block or throw.
template <class T>
class Reply {
 public:
  using Function = std::move_only_function<void(Result<T>)>;

  Reply() = default;  // Nobody waits.
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Reply> && std::is_constructible_v<Function, F>)
  Reply(F&& function) : function_(std::forward<F>(function)) {}
  Reply(Reply&& other) noexcept : function_(std::exchange(other.function_, nullptr)) {}
  Reply& operator=(Reply&& other) noexcept {
    if (this == &other) return *this;
    let_go();
    function_ = std::exchange(other.function_, nullptr);
    return *this;
  }
  ~Reply() { let_go(); }

  // Whether somebody waits.
  explicit operator bool() const { return static_cast<bool>(function_); }

  void operator()(Result<T> result) {
    WEFT_CHECK(static_cast<bool>(function_), "a reply is answered twice");
    std::exchange(function_, nullptr)(std::move(result));
  }

 private:
  void let_go() {
    if (function_) (*this)(unavailable(std::string(kDropped)));
  }

  Function function_;
};

}  // namespace weft::engine
