#include "tools/http_tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"

namespace weft::tools {
namespace {

constexpr std::uint64_t kReplyBytesMax = std::uint64_t{16} << 20;
constexpr std::size_t kRefusalBytesMax = std::size_t{4} << 10;  // Of a body that says why it did not work.

// In a sentence of which a part may be cut off.
std::string masked(std::string text, const SecretMask& secrets) {
  secrets.mask_cut(text);
  return text;
}

ToolStatus status_of(int http) {
  switch (http) {
    case 408:
    case 409:
    case 425:
    case 429: return ToolStatus::kDeclined;
    default: break;
  }
  if (http >= 200 && http < 300) return ToolStatus::kDone;
  return http >= 400 && http < 500 ? ToolStatus::kFailed : ToolStatus::kUnknown;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7F;
}

// Whether the workflow sets this header itself. `name` is in lower case.
bool sets(const workflows::HttpBinding& http, std::string_view name) {
  return std::ranges::any_of(http.headers, [&](const auto& header) {
    return std::ranges::equal(header.first, name, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  });
}

Error cannot_be_formed(const workflows::Tool& tool, Error error) {
  error.message = fmt::format("the request of the tool {} cannot be formed: {}", tool.name, error.message);
  return error;
}

class Sink final : public HttpSink {
 public:
  Sink(const HttpToolCall& call, std::shared_ptr<const SecretMask> secrets,
       std::move_only_function<void(ToolReply)> done)
      : secrets_(std::move(secrets)),
        place_(call.request.method + " " + masked(call.request.url, *secrets_)),
        done_(std::move(done)) {}

  void on_head(const HttpHead& head) override { status_ = head.status; }
  void on_bytes(std::string_view bytes) override { body_ += bytes; }
  void on_end(const HttpEnd& end) override {
    ToolReply reply = end.ok ? whole() : broken(end);
    reply.http_status = status_;
    std::exchange(done_, nullptr)(std::move(reply));
  }

 private:
  ToolReply whole() {
    const ToolStatus status = status_of(status_);
    std::size_t replaced = 0;
    std::string body = as_utf8(body_, replaced);
    if (status == ToolStatus::kDone) {
      auto json = parse_untrusted(body);
      if (json) {
        secrets_->mask(*json);
        return {status, to_text(*json)};
      }
      secrets_->mask(body);
      return {status, to_text(Json(std::move(body)))};
    }
    // Before it is cut, so that no part of a secret is left.
    secrets_->mask_body(body);
    if (body.size() > kRefusalBytesMax) {
      std::size_t cut = kRefusalBytesMax;
      while (cut > 0 && (static_cast<unsigned char>(body[cut]) & 0xC0) == 0x80) --cut;
      body = body.substr(0, cut) + "…";
    }
    return {status, fmt::format("{} answered {}{}{}", place_, status_, body.empty() ? "" : ": ", body)};
  }

  ToolReply broken(const HttpEnd& end) {
    const std::string message = masked(end.message, *secrets_);
    const bool left = end.sent && end.fault != HttpFault::kConnect;
    if (!left) return {ToolStatus::kFailed, fmt::format("{} was not reached: {}", place_, message)};
    return {ToolStatus::kUnknown, fmt::format("{} was sent and no whole answer came: {}", place_, message)};
  }

  const std::shared_ptr<const SecretMask> secrets_;  // Never null.
  const std::string place_;
  std::move_only_function<void(ToolReply)> done_;
  int status_ = 0;
  std::string body_;
};

}  // namespace

Result<HttpToolCall> make_http_call(const workflows::Tool& tool, const ToolRequest& request, const Secrets& secrets) {
  const workflows::HttpBinding& http = tool.http;
  WEFT_TRY(Json args, parse_untrusted(request.arguments));
  const workflows::NamedValues names = workflows::call_names(std::move(args), request.key, request.id);
  HttpToolCall call;
  call.request.method = http.method;
  call.request.total_timeout = http.timeout;
  call.request.connect_timeout = std::min(call.request.connect_timeout, http.timeout);
  call.request.response_bytes_max = kReplyBytesMax;
  call.request.compression = HttpRequest::Compression::kOffered;
  auto url = http.url.evaluate_url(names);
  if (!url) return cannot_be_formed(tool, std::move(url).error());
  call.request.url = *std::move(url);
  if (!sets(http, "accept")) call.request.headers.emplace_back("Accept: application/json");
  for (const auto& [name, value] : http.headers) {
    auto text = value.evaluate_text(names);
    if (!text) return cannot_be_formed(tool, std::move(text).error());
    if (std::ranges::any_of(*text, is_control)) {
      return cannot_be_formed(
          tool, invalid_argument(
                    fmt::format("the value of its header {} holds a line break or another control character", name)));
    }
    call.request.headers.push_back(fmt::format("{}: {}", name, *text));
  }
  if (http.sends_key) call.request.headers.push_back("Idempotency-Key: " + request.key);
  if (!http.bearer.empty()) {
    WEFT_TRY(const std::string secret, secrets(http.bearer));
    call.request.headers.push_back("Authorization: Bearer " + secret);
  }
  if (http.json) {
    WEFT_TRY(const Json body, http.json->evaluate(names));
    if (!sets(http, "content-type")) call.request.headers.emplace_back("Content-Type: application/json");
    call.request.body.push_back(std::make_shared<const std::string>(to_text(body)));
  }
  return call;
}

std::unique_ptr<HttpSink> make_http_sink(const HttpToolCall& call, std::shared_ptr<const SecretMask> secrets,
                                         std::move_only_function<void(ToolReply)> done) {
  return std::make_unique<Sink>(call, std::move(secrets), std::move(done));
}

}  // namespace weft::tools
