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
constexpr std::size_t kMaskedBytesMin = 4;  // A shorter secret would be masked wherever its letters stand.

std::string masked(std::string text, const std::string& secret, const std::string& name) {
  if (secret.size() < kMaskedBytesMin) return text;
  const std::string mask = fmt::format("[secret {}]", name);
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + mask.size())) {
    text.replace(at, secret.size(), mask);
  }
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

class Sink final : public HttpSink {
 public:
  Sink(const HttpToolCall& call, std::move_only_function<void(HttpToolReply)> done)
      : place_(call.request.method + " " + masked(call.request.url, call.secret, call.secret_name)),
        secret_(call.secret),
        secret_name_(call.secret_name),
        done_(std::move(done)) {}

  void on_head(const HttpHead& head) override { status_ = head.status; }
  void on_bytes(std::string_view bytes) override { body_ += bytes; }
  void on_end(const HttpEnd& end) override {
    HttpToolReply reply{end.ok ? whole() : broken(end), status_};
    std::exchange(done_, nullptr)(std::move(reply));
  }

 private:
  ToolReply whole() {
    const ToolStatus status = status_of(status_);
    std::size_t replaced = 0;
    std::string body = masked(as_utf8(body_, replaced), secret_, secret_name_);
    if (status == ToolStatus::kDone) {
      const auto json = parse_untrusted(body);
      return {status, json ? to_text(*json) : to_text(Json(body))};
    }
    if (body.size() > kRefusalBytesMax) {
      std::size_t cut = kRefusalBytesMax;
      while (cut > 0 && (static_cast<unsigned char>(body[cut]) & 0xC0) == 0x80) --cut;
      body = body.substr(0, cut) + "…";
    }
    return {status, fmt::format("{} answered {}{}{}", place_, status_, body.empty() ? "" : ": ", body)};
  }

  ToolReply broken(const HttpEnd& end) {
    const std::string message = masked(end.message, secret_, secret_name_);
    const bool left = end.sent && end.fault != HttpFault::kConnect;
    if (!left) return {ToolStatus::kFailed, fmt::format("{} was not reached: {}", place_, message)};
    return {ToolStatus::kUnknown, fmt::format("{} was sent and no whole answer came: {}", place_, message)};
  }

  const std::string place_;
  const std::string secret_;
  const std::string secret_name_;
  std::move_only_function<void(HttpToolReply)> done_;
  int status_ = 0;
  std::string body_;
};

}  // namespace

Result<HttpToolCall> make_http_call(const workflows::Tool& tool, const ToolRequest& request, const std::string& id,
                                    const Secrets& secrets) {
  const workflows::HttpBinding& http = tool.http;
  WEFT_TRY(Json args, parse_untrusted(request.arguments));
  const workflows::NamedValues names = workflows::call_names(std::move(args), request.key, id);
  HttpToolCall call;
  call.request.method = http.method;
  call.request.total_timeout = http.timeout;
  call.request.connect_timeout = std::min(call.request.connect_timeout, http.timeout);
  call.request.response_bytes_max = kReplyBytesMax;
  WEFT_TRY(call.request.url, http.url.evaluate_url(names));
  call.request.headers.emplace_back("Accept: application/json");
  for (const auto& [name, value] : http.headers) {
    WEFT_TRY(const std::string text, value.evaluate_text(names));
    call.request.headers.push_back(fmt::format("{}: {}", name, text));
  }
  if (http.sends_key) call.request.headers.push_back("Idempotency-Key: " + request.key);
  if (!http.bearer.empty()) {
    WEFT_TRY(call.secret, secrets(http.bearer));
    call.secret_name = http.bearer;
    call.request.headers.push_back("Authorization: Bearer " + call.secret);
  }
  if (http.json) {
    WEFT_TRY(const Json body, http.json->evaluate(names));
    call.request.headers.emplace_back("Content-Type: application/json");
    call.request.body.push_back(std::make_shared<const std::string>(to_text(body)));
  }
  return call;
}

std::unique_ptr<HttpSink> make_http_sink(const HttpToolCall& call, std::move_only_function<void(HttpToolReply)> done) {
  return std::make_unique<Sink>(call, std::move(done));
}

}  // namespace weft::tools
