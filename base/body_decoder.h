// Decodes the body of a response that is compressed (Content-Encoding), piece by piece.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

// What a request may offer to take.
inline constexpr std::string_view kAcceptedEncodings = "gzip, deflate";

class BodyDecoder {
 public:
  // Null where `encoding` (the header's value) means that nothing is to be decoded, or is not known: ask `knows`.
  static std::unique_ptr<BodyDecoder> make(std::string_view encoding);
  static bool knows(std::string_view encoding);
  ~BodyDecoder();
  BodyDecoder(const BodyDecoder&) = delete;
  BodyDecoder& operator=(const BodyDecoder&) = delete;

  // Hands what `bytes` mean to `take`, in pieces of at most kPieceBytes, until it says false. False: it did, or the
  // bytes are damaged.
  static constexpr std::size_t kPieceBytes = 16 << 10;
  bool feed(std::string_view bytes, const std::function<bool(std::string_view)>& take);
  // The body may end here: each of its parts came to its end, checksum included.
  bool is_whole() const;

 private:
  struct State;
  explicit BodyDecoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
