#include "runtime/model/openai_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/model/calls.h"
#include "runtime/model/markup.h"
#include "runtime/model/pattern.h"
#include "runtime/model/refusal.h"
#include "runtime/model/sse.h"
#include "runtime/model/usage.h"

namespace weft::model {
namespace {

constexpr std::size_t kRefusalBodyBytesMax = std::size_t{64} << 10;
constexpr std::size_t kModelBytesMax = 256;
constexpr std::size_t kPartialBytesMax = std::size_t{64} << 10;

const Json* member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::string cut(std::string_view text, std::size_t bytes_max) {
  std::size_t length = std::min(text.size(), bytes_max);
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  return std::string(text.substr(0, length));
}

}  // namespace

struct OpenAiDecoder::State {
  using Place = ChunkPatterns::Place;
  enum class Mode : std::uint8_t { kBlank, kEvents, kBody, kRefusal };

  OnProgress on_progress;
  const DecoderLimits limits;
  SseParser sse;
  MarkupWatch markup;
  CallAssembler calls;

  Mode mode = Mode::kBlank;
  int status = 0;
  bool error_came = false;  // As an answer of its own, in what began well.
  std::optional<Duration> retry_after;
  std::string request_id;

  std::string body;  // kBody and kRefusal.
  std::string text;
  std::optional<std::string> reasoning;
  std::string declined;  // OpenAI's `refusal`.
  std::string finish_reason;
  std::string model;
  std::optional<Usage> usage;
  bool usage_is_exact = false;  // From `usage`, not from timings.
  bool done = false;
  bool token = false;
  std::size_t kept = 0;  // Bytes of the answer.
  std::optional<std::pair<FailureKind, std::string>> fault;
  ChunkPatterns patterns;

  State(OnProgress progress, const DecoderLimits& l)
      : on_progress(std::move(progress)), limits(l), sse(l.line_bytes_max), calls(l.tool_calls_max) {}

  bool fail(FailureKind kind, std::string message) {
    if (!fault) fault.emplace(kind, std::move(message));
    return false;
  }
  bool malformed(std::string message) { return fail(FailureKind::kMalformed, std::move(message)); }

  void feed(std::string_view bytes);
  void feed_events(std::string_view bytes);
  bool event(std::string_view data);
  bool apply(const ChunkPatterns::Match& match);
  bool chunk(const Json& value, std::string_view data);
  bool add_delta(const Json& delta, std::size_t& parts, Place& place);
  bool add_text(std::string_view piece);
  bool add_reasoning(std::string_view piece);
  bool add_calls(const Json& list, bool whole);
  bool took(CallAssembler::Added added);
  bool within_limit();
  void read_totals(const Json& value);
  bool whole_body();

  Outcome judge(const HttpEnd& end);
  Outcome failure(const HttpEnd& end, FailureKind kind, std::string message);
  Outcome unfinished(const HttpEnd& end);
  void show(Stream stream, std::string_view piece) {
    if (on_progress && !piece.empty()) on_progress(stream, piece);
  }
};

bool OpenAiDecoder::State::within_limit() {
  if (kept <= limits.answer_bytes_max) return true;
  return fail(FailureKind::kTooLarge,
              fmt::format("the answer is larger than {} bytes (answer_bytes_max)", limits.answer_bytes_max));
}

bool OpenAiDecoder::State::add_text(std::string_view piece) {
  kept += piece.size();
  if (!within_limit()) return false;
  token = token || !piece.empty();
  text += piece;
  markup.push(piece, [this](std::string_view shown) { show(Stream::kText, shown); });
  return true;
}

bool OpenAiDecoder::State::add_reasoning(std::string_view piece) {
  kept += piece.size();
  if (!within_limit()) return false;
  token = token || !piece.empty();
  if (!reasoning) reasoning.emplace();
  *reasoning += piece;
  show(Stream::kReasoning, piece);
  return true;
}

bool OpenAiDecoder::State::add_calls(const Json& list, bool whole) {
  if (!list.is_array()) return malformed("tool_calls is not a list");
  std::size_t position = 0;
  for (const Json& element : list) {
    if (!took(whole ? calls.add_whole(element, kept) : calls.add(element, position++, kept))) return false;
  }
  return true;
}

bool OpenAiDecoder::State::took(CallAssembler::Added added) {
  if (added == CallAssembler::Added::kMalformed) return malformed("a tool call has another shape than the format's");
  if (added == CallAssembler::Added::kTooMany) {
    return fail(FailureKind::kTooLarge, fmt::format("more than {} tool calls (tool_calls_max)", limits.tool_calls_max));
  }
  token = token || !calls.empty();
  return within_limit();
}

// `parts` counts what was added, and `place` says where the last string went.
bool OpenAiDecoder::State::add_delta(const Json& delta, std::size_t& parts, Place& place) {
  if (!delta.is_object()) return malformed("a delta is not an object");
  // Two names for one thing; a server that sends both sends the same text twice.
  const Json* thought = member(delta, "reasoning_content");
  if (thought == nullptr) thought = member(delta, "reasoning");
  if (thought != nullptr) {
    if (!thought->is_string()) return malformed("reasoning is not text");
    const std::string& piece = thought->get_ref<const std::string&>();
    if (!add_reasoning(piece)) return false;
    if (!piece.empty()) {
      ++parts;
      place = Place::kReasoning;
    }
  }
  if (const Json* content = member(delta, "content")) {
    if (!content->is_string()) return malformed("content is not text");
    const std::string& piece = content->get_ref<const std::string&>();
    if (!add_text(piece)) return false;
    if (!piece.empty()) {
      ++parts;
      place = Place::kText;
    }
  }
  if (const Json* no = member(delta, "refusal"); no != nullptr && no->is_string()) {
    declined += cut(no->get_ref<const std::string&>(), kRefusalBytesMax);
    declined = cut(declined, kRefusalBytesMax);
    parts += 2;
  }
  if (const Json* list = member(delta, "tool_calls")) {
    parts += list->size() == 1 ? 1 : 2;
    place = Place::kArguments;
    const bool whole = mode == Mode::kBody;
    return add_calls(*list, whole);
  }
  return true;
}

void OpenAiDecoder::State::read_totals(const Json& value) {
  if (const Json* name = member(value, "model"); name != nullptr && name->is_string()) {
    model = cut(name->get_ref<const std::string&>(), kModelBytesMax);
  }
  const Json* const reported = member(value, "usage");
  const Json* const timings = member(value, "timings");
  if (reported != nullptr && reported->is_object()) {
    usage = read_usage(reported, timings);
    usage_is_exact = true;
  } else if (timings != nullptr && !usage_is_exact) {
    usage = read_usage(nullptr, timings);
  }
}

bool OpenAiDecoder::State::chunk(const Json& value, std::string_view data) {
  if (!value.is_object()) return malformed("an event of the stream is not a JSON object");
  if (const Json* error = member(value, "error")) {
    Refusal refusal = read_error_event(*error);
    error_came = true;
    return fail(refusal.kind, "the stream broke off with an error: " + refusal.message);
  }
  read_totals(value);
  const Json* const choices = member(value, "choices");
  if (choices == nullptr) {
    if (member(value, "usage") != nullptr) return true;
    return malformed("an event of the stream has neither choices nor usage");
  }
  if (!choices->is_array()) return malformed("choices is not a list");
  std::size_t parts = 0;
  Place place = Place::kText;
  for (const Json& choice : *choices) {
    if (!choice.is_object()) return malformed("a choice is not an object");
    const Json* const index = member(choice, "index");
    if (index != nullptr && *index != 0) continue;  // Only one answer was asked for.
    const Json* const reason = member(choice, "finish_reason");
    if (reason != nullptr && !reason->is_string()) return malformed("finish_reason is not text");
    const auto delta = choice.find("delta");
    if (delta != choice.end()) {
      if (!add_delta(*delta, parts, place)) return false;
    } else if (reason == nullptr) {
      return malformed("a choice has no delta");
    }
    if (reason != nullptr) {
      finish_reason = reason->get<std::string>();
      parts += 2;
    }
  }
  if (parts == 1 && choices->size() == 1) patterns.learn(data, place);
  return true;
}

bool OpenAiDecoder::State::apply(const ChunkPatterns::Match& match) {
  switch (match.place) {
    case Place::kText: return add_text(match.text);
    case Place::kReasoning: return add_reasoning(match.text);
    case Place::kArguments: return took(calls.add_piece(match.index, match.text, kept));
  }
  return false;
}

// One event of the stream; false where nothing after it matters.
bool OpenAiDecoder::State::event(std::string_view data) {
  if (const auto match = patterns.match(data)) return apply(*match);
  const std::size_t from = data.find_first_not_of(" \t");
  if (from != std::string_view::npos && data.substr(from, data.find_last_not_of(" \t\n") + 1 - from) == "[DONE]") {
    done = true;
    return false;
  }
  const Result<Json> value = parse_untrusted(data, {.bytes_max = limits.line_bytes_max});
  if (!value) return malformed("an event of the stream is " + value.error().message);
  return chunk(*value, data);
}

void OpenAiDecoder::State::feed_events(std::string_view bytes) {
  const bool go_on = sse.feed(bytes, [this](std::string_view data) { return event(data); });
  if (!go_on && !fault && !done) {
    fail(FailureKind::kTooLarge,
         fmt::format("a line of the stream is longer than {} bytes (line_bytes_max)", limits.line_bytes_max));
  }
}

void OpenAiDecoder::State::feed(std::string_view bytes) {
  if (mode == Mode::kBlank) {
    // A byte order mark, and the blank lines that some servers send while a call waits in their queue.
    bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF"), bytes.size()));
    if (bytes.empty()) return;
    if (bytes.front() == '<') {
      malformed(fmt::format("the response is not the format but: {}", printable(cut(bytes, 200))));
      return;
    }
    // The content type is not asked: servers and proxies say the wrong one.
    mode = bytes.front() == '{' || bytes.front() == '[' ? Mode::kBody : Mode::kEvents;
  }
  switch (mode) {
    case Mode::kEvents: feed_events(bytes); break;
    case Mode::kBody:
      token = true;
      body += bytes;
      if (body.size() > limits.answer_bytes_max) {
        kept = body.size();
        within_limit();
        body.clear();
      }
      break;
    case Mode::kRefusal:
      body += bytes.substr(0, kRefusalBodyBytesMax - std::min(body.size(), kRefusalBodyBytesMax));
      break;
    case Mode::kBlank: break;
  }
}

bool OpenAiDecoder::State::whole_body() {
  const Result<Json> value = parse_untrusted(body, {.bytes_max = limits.answer_bytes_max});
  if (!value) return malformed("the response is " + value.error().message);
  if (!value->is_object()) return malformed("the response is not a JSON object");
  if (const Json* error = member(*value, "error")) {
    Refusal refusal = read_error_event(*error);
    error_came = true;
    return fail(refusal.kind, std::move(refusal.message));
  }
  read_totals(*value);
  const Json* const choices = member(*value, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty() || !choices->front().is_object()) {
    return malformed("the response has no choices");
  }
  const Json& choice = choices->front();
  const Json* const message = member(choice, "message");
  if (message == nullptr) return malformed("the response has no message");
  std::size_t parts = 0;
  Place place = Place::kText;
  if (!add_delta(*message, parts, place)) return false;
  if (const Json* reason = member(choice, "finish_reason"); reason != nullptr && reason->is_string()) {
    finish_reason = reason->get<std::string>();
  }
  done = true;
  return true;
}

Outcome OpenAiDecoder::State::failure(const HttpEnd& end, FailureKind kind, std::string message) {
  Failure out;
  out.kind = kind;
  out.message = std::move(message);
  out.status = status;
  out.retry_after = retry_after;
  out.request_id = request_id;
  out.partial_text = cut(text, kPartialBytesMax);
  out.answer_bytes = std::max<std::uint64_t>(kept, mode == Mode::kBody ? body.size() : 0);
  const bool answered = status >= 200 && status <= 299;
  out.may_be_billed = answered ? !error_came || kept > 0 : status == 0 && end.sent;
  out.usage = usage;
  out.total = end.total;
  return out;
}

// The body ended, or broke off, before the response was complete.
Outcome OpenAiDecoder::State::unfinished(const HttpEnd& end) {
  if (end.ok) {
    const bool nothing = mode == Mode::kBlank;
    return failure(end, FailureKind::kStreamClosed,
                   nothing ? "the response is empty" : "the stream ended before its [DONE]");
  }
  switch (end.fault) {
    case HttpFault::kTimeout: return failure(end, FailureKind::kTimeout, end.message);
    case HttpFault::kTooLarge: return failure(end, FailureKind::kTooLarge, end.message);
    case HttpFault::kConnect:
    case HttpFault::kReset:
    case HttpFault::kProtocol: break;
  }
  return failure(end, FailureKind::kTransport, end.message);
}

Outcome OpenAiDecoder::State::judge(const HttpEnd& end) {
  const bool cut_off = finish_reason == "length";
  if (finish_reason.empty()) return failure(end, FailureKind::kMalformed, "the response has no finish_reason");
  if (finish_reason == "insufficient_system_resource") {
    return failure(end, FailureKind::kOverloaded, "the provider broke off: insufficient_system_resource");
  }
  if (finish_reason == "content_filter") {
    return failure(end, FailureKind::kBlocked, "the provider's content filter stopped the answer");
  }
  if (finish_reason != "stop" && finish_reason != "tool_calls" && !cut_off) {
    return failure(end, FailureKind::kMalformed,
                   fmt::format("unknown finish_reason \"{}\"", printable(cut(finish_reason, 100))));
  }
  if (markup.found()) {
    return failure(end, FailureKind::kMalformed, "the model wrote its tool calls as text (DSML markup)");
  }
  auto taken = calls.take(cut_off);
  if (!taken.fault.empty()) return failure(end, taken.kind, std::move(taken.fault));
  if (taken.calls.empty() && is_blank(text)) {
    if (!declined.empty())
      return failure(end, FailureKind::kBlocked, "the model declined: " + printable_lines(declined));
    if (!cut_off) return failure(end, FailureKind::kEmptyResponse, "the response has neither text nor tool calls");
  }
  if (taken.calls.empty() && finish_reason == "tool_calls") {
    return failure(end, FailureKind::kMalformed, "finish_reason is tool_calls and there is none");
  }
  markup.flush([this](std::string_view shown) { show(Stream::kText, shown); });

  Answer answer;
  answer.turn = {std::move(text), std::move(reasoning), std::move(taken.calls)};
  answer.finish = cut_off ? Finish::kLength : answer.turn.tool_calls.empty() ? Finish::kStop : Finish::kToolCalls;
  answer.finish_reason = std::move(finish_reason);
  answer.usage = usage.value_or(Usage{});
  answer.model = std::move(model);
  answer.request_id = std::move(request_id);
  answer.first_token = end.first_byte;
  answer.total = end.total;
  return answer;
}

OpenAiDecoder::OpenAiDecoder(OnProgress on_progress, const DecoderLimits& limits)
    : state_(std::make_unique<State>(std::move(on_progress), limits)) {}
OpenAiDecoder::~OpenAiDecoder() = default;

void OpenAiDecoder::head(const HttpHead& head) {
  State& s = *state_;
  s.status = head.status;
  s.request_id = read_request_id(head);
  if (head.status < 200 || head.status > 299) {
    s.mode = State::Mode::kRefusal;
    s.retry_after = read_retry_after(head);
  }
}

void OpenAiDecoder::bytes(std::string_view bytes) {
  if (!settled()) state_->feed(bytes);
}

bool OpenAiDecoder::has_token() const { return state_->token; }
bool OpenAiDecoder::settled() const { return state_->done || state_->fault.has_value(); }

Outcome OpenAiDecoder::finish(const HttpEnd& end) {
  State& s = *state_;
  if (s.mode == State::Mode::kRefusal) {
    Refusal refusal = read_refusal(s.status, s.body);
    return s.failure(end, refusal.kind, std::move(refusal.message));
  }
  if (s.mode == State::Mode::kBody && !s.fault && end.ok) std::ignore = s.whole_body();
  if (s.fault) return s.failure(end, s.fault->first, std::move(s.fault->second));
  return s.done ? s.judge(end) : s.unfinished(end);
}

}  // namespace weft::model
