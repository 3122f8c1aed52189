// The one way in which weft says that something did not work.
//
// An operating error is a value: Result<T> holds a T or an Error. What is expected (a refused tool call, a skipped
// step) is a value in the type itself; a broken invariant aborts (base/check.h). No exception crosses a room's border.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

// gRPC's canonical codes, by its numbers: the code says what a caller may do about it.
enum class Code : std::uint8_t {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

std::string_view code_name(Code code);  // "INVALID_ARGUMENT"

// One fact about an error, for programs: {"limit", "queue_runs"}.
struct Detail {
  std::string key;
  std::string value;
  bool operator==(const Detail&) const = default;
};

// A sentence that names the thing and its value, with the way out where there is one.
struct Error {
  Code code = Code::kUnknown;
  std::string message;
  std::vector<Detail> details;

  Error with(std::string key, std::string value) && {
    details.push_back({std::move(key), std::move(value)});
    return std::move(*this);
  }
  bool operator==(const Error&) const = default;
};

// A type of its own and not an alias, since [[nodiscard]] on an alias does not warn when a result is dropped.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpected(std::move(error))) {}
};

using Status = Result<void>;

inline Error invalid_argument(std::string message) { return {Code::kInvalidArgument, std::move(message), {}}; }
inline Error not_found(std::string message) { return {Code::kNotFound, std::move(message), {}}; }
inline Error already_exists(std::string message) { return {Code::kAlreadyExists, std::move(message), {}}; }
inline Error permission_denied(std::string message) { return {Code::kPermissionDenied, std::move(message), {}}; }
inline Error resource_exhausted(std::string message) { return {Code::kResourceExhausted, std::move(message), {}}; }
inline Error failed_precondition(std::string message) { return {Code::kFailedPrecondition, std::move(message), {}}; }
inline Error aborted(std::string message) { return {Code::kAborted, std::move(message), {}}; }
inline Error out_of_range(std::string message) { return {Code::kOutOfRange, std::move(message), {}}; }
inline Error unimplemented(std::string message) { return {Code::kUnimplemented, std::move(message), {}}; }
inline Error internal(std::string message) { return {Code::kInternal, std::move(message), {}}; }
inline Error unavailable(std::string message) { return {Code::kUnavailable, std::move(message), {}}; }
inline Error data_loss(std::string message) { return {Code::kDataLoss, std::move(message), {}}; }

}  // namespace weft

// WEFT_TRY(auto x, expr); binds the value of `expr` or returns its error from the enclosing function. Two statements.
#define WEFT_TRY(declaration, expression) WEFT_TRY_NAMED(WEFT_TRY_JOIN(result_, __LINE__), declaration, expression)
#define WEFT_TRY_NAMED(result, declaration, expression)         \
  auto result = (expression);                                   \
  if (!result) return ::weft::Error(std::move(result).error()); \
  declaration = *std::move(result)
#define WEFT_TRY_JOIN(a, b) WEFT_TRY_JOIN_NOW(a, b)
#define WEFT_TRY_JOIN_NOW(a, b) a##b
// WEFT_RETURN_IF_ERROR(expr); the same for a Status.
#define WEFT_RETURN_IF_ERROR(expression) \
  if (auto status_ = (expression); !status_) return ::weft::Error(std::move(status_).error())
