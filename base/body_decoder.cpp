#include "base/body_decoder.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace weft {
namespace {

enum class Kind : std::uint8_t { kNone, kGzip, kDeflate, kUnknown };

Kind kind_of(std::string_view encoding) {
  std::string name;
  for (const char c : encoding) {
    if (c != ' ' && c != '\t') name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (name.empty() || name == "identity") return Kind::kNone;
  if (name == "gzip" || name == "x-gzip") return Kind::kGzip;
  return name == "deflate" ? Kind::kDeflate : Kind::kUnknown;
}

constexpr int kAnyHeader = 15 + 32;  // gzip or zlib, which servers call deflate; the largest window.
constexpr int kNoHeader = -15;       // What some servers call deflate.

}  // namespace

struct BodyDecoder::State {
  z_stream stream{};
  std::array<char, kPieceBytes> piece;
  bool begun = false;   // Something came.
  bool at_end = false;  // Of a part. Another one may follow.
  bool may_lack_header = false;
};

BodyDecoder::BodyDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {
  WEFT_CHECK(::inflateInit2(&state_->stream, kAnyHeader) == Z_OK, "zlib makes no further stream");
}
BodyDecoder::~BodyDecoder() { ::inflateEnd(&state_->stream); }

bool BodyDecoder::knows(std::string_view encoding) { return kind_of(encoding) != Kind::kUnknown; }

std::unique_ptr<BodyDecoder> BodyDecoder::make(std::string_view encoding) {
  const Kind kind = kind_of(encoding);
  if (kind != Kind::kGzip && kind != Kind::kDeflate) return nullptr;
  auto state = std::make_unique<State>();
  state->may_lack_header = kind == Kind::kDeflate;
  return std::unique_ptr<BodyDecoder>(new BodyDecoder(std::move(state)));
}

bool BodyDecoder::is_whole() const { return state_->at_end || !state_->begun; }

bool BodyDecoder::feed(std::string_view bytes, const std::function<bool(std::string_view)>& take) {
  State& s = *state_;
  const bool first = !s.begun;
  s.begun = s.begun || !bytes.empty();
  s.stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  s.stream.avail_in = static_cast<uInt>(bytes.size());
  while (true) {
    if (s.at_end && s.stream.avail_in > 0) {
      s.at_end = false;
      if (::inflateReset(&s.stream) != Z_OK) return false;
    }
    s.stream.next_out = reinterpret_cast<Bytef*>(s.piece.data());
    s.stream.avail_out = s.piece.size();
    const int code = ::inflate(&s.stream, Z_NO_FLUSH);
    if (code == Z_DATA_ERROR && first && s.may_lack_header && s.stream.total_out == 0) {
      s.may_lack_header = false;
      if (::inflateReset2(&s.stream, kNoHeader) != Z_OK) return false;
      s.stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      s.stream.avail_in = static_cast<uInt>(bytes.size());
      continue;
    }
    const std::size_t size = s.piece.size() - s.stream.avail_out;
    if (size > 0 && !take({s.piece.data(), size})) return false;
    s.at_end = code == Z_STREAM_END;
    // Z_BUF_ERROR: nothing is left to do with what came.
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return false;
    if (s.stream.avail_in == 0 && s.stream.avail_out > 0) return true;
    if (code == Z_BUF_ERROR) return true;
  }
}

}  // namespace weft
