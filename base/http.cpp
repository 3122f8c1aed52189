// libcurl forbids most of its functions while it runs one of our callbacks. So inside them nothing but the sink is
// called, and what a sink asks for meanwhile (start, cancel) is noted and done when libcurl has returned.
#include "base/http.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/body_decoder.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/http_request.h"
#include "base/http_sockets.h"
#include "base/url.h"

namespace weft {
namespace {

constexpr std::size_t kHeadBytesMax = std::size_t{256} << 10;
constexpr std::size_t kSpareHandlesMax = 256;
// Streams come in small pieces, and these buffers are held for each of thousands of them (libcurl's own sizes would be
// 16 and 64 KiB). 16 KiB is the least that libcurl takes for the second; what is not touched costs no memory.
constexpr long kReceiveBufferBytes = 2048;
constexpr long kSendBufferBytes = 16384;
constexpr std::size_t kSendPieceBytes = 4096;
// Below the idle time after which common servers and their balancers close a connection.
constexpr long kIdleConnectionSeconds = 50;

using ListPtr = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

}  // namespace

std::string_view HttpHead::header(std::string_view lower_case_name) const {
  for (auto it = headers.rbegin(); it != headers.rend(); ++it) {
    if (it->first == lower_case_name) return it->second;
  }
  return {};
}

struct HttpClient::State {
  enum class Stop : std::uint8_t {
    kNone,
    kCancelled,
    kHeadTooLarge,
    kTooLarge,
    kEncoding,
    kFirstByte,
    kIdle,
    kTotal,
    kRepeat
  };

  struct Call {
    State* state = nullptr;
    CallId id = 0;
    HttpRequest request;
    std::unique_ptr<HttpSink> sink;
    CURL* easy = nullptr;
    ListPtr headers{nullptr, curl_slist_free_all};
    bool added = false;  // To the multi handle.
    bool multiplexable = false;
    std::size_t piece = 0;  // Of the body: what is sent next.
    std::size_t offset = 0;
    bool sent = false;  // A connection was there and the request was begun on it.
    bool reused = false;
    Stop stop = Stop::kNone;
    bool head_done = false;
    bool undecodable = false;  // A body would be in an encoding that nobody here knows.
    std::size_t head_bytes = 0;
    HttpHead head;
    std::unique_ptr<BodyDecoder> decoder;  // Null: the body is as it is.
    std::uint64_t body_bytes = 0;          // Decoded.
    Duration started{};
    Duration first_byte{};
    Duration last_byte{};
    Loop::TimerId deadline = 0;
    bool whole = false;  // It came to its right end, so that its handle may be used again.
    char message[CURL_ERROR_SIZE] = {};

    bool hand_on(std::string_view bytes);
  };

  Loop& loop;
  const Limits limits;
  SystemClock clock;
  std::optional<HttpSockets> sockets;
  CURLM* multi = nullptr;  // Owned by sockets.
  std::unordered_map<CallId, std::unique_ptr<Call>> calls;
  std::vector<CURL*> spare;
  std::vector<CallId> to_add;     // Started inside a callback.
  std::vector<CallId> to_remove;  // Cancelled inside a callback.
  // Connections that were left open, by origin; an estimate from above. libcurl looks through all connections to a host
  // for a free one, which is quadratic in thousands of calls, so it is not asked to where there can be none.
  std::unordered_map<std::string, std::size_t> idle;
  CallId last = 0;
  int inside = 0;  // Depth of libcurl's and the sinks' callbacks.
  bool ending = false;

  State(Loop& l, Limits m) : loop(l), limits(m) {}

  Result<CallId> start(HttpRequest request, std::unique_ptr<HttpSink> sink);
  void cancel(CallId id);
  void shut();
  CURLcode prepare(Call& call);
  void add(Call& call);
  void settle();
  void collect();
  void end(Call& call, CURLcode code);
  void release(std::unique_ptr<Call> call);
  void watch_deadlines(Call& call);
  void on_deadline(Call& call);
  void act(curl_socket_t fd, int events);
  HttpEnd describe(Call& call, CURLcode code) const;

  static std::size_t on_read(char* to, std::size_t size, std::size_t count, void* user);
  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* user);
  static std::size_t on_write(char* bytes, std::size_t size, std::size_t count, void* user);
  static int on_begin(void* user, char*, char*, int, int);
};

namespace {

template <class Value>
CURLcode set(CURLcode before, CURL* easy, CURLoption option, Value value) {
  return before != CURLE_OK ? before : curl_easy_setopt(easy, option, value);
}

constexpr long kOn = 1;

}  // namespace

std::size_t HttpClient::State::on_read(char* to, std::size_t size, std::size_t count, void* user) {
  Call& call = *static_cast<Call*>(user);
  const std::size_t room = std::min(size * count, kSendPieceBytes);
  std::size_t filled = 0;
  while (filled < room && call.piece < call.request.body.size()) {
    const std::string& piece = *call.request.body[call.piece];
    const std::size_t taken = std::min(room - filled, piece.size() - call.offset);
    std::memcpy(to + filled, piece.data() + call.offset, taken);
    filled += taken;
    call.offset += taken;
    if (call.offset == piece.size()) {
      ++call.piece;
      call.offset = 0;
    }
  }
  return filled;
}

std::size_t HttpClient::State::on_header(char* bytes, std::size_t size, std::size_t count, void* user) {
  Call& call = *static_cast<Call*>(user);
  const std::size_t length = size * count;
  if (call.stop != Stop::kNone) return 0;
  if (call.head_done) return length;  // A trailer.
  call.head_bytes += length;
  if (call.head_bytes > kHeadBytesMax) {
    call.stop = Stop::kHeadTooLarge;
    return 0;
  }
  const std::string_view line = without_blanks({bytes, length});
  if (line.starts_with("HTTP/") && call.head.headers.empty()) {
    long status = 0;
    curl_easy_getinfo(call.easy, CURLINFO_RESPONSE_CODE, &status);
    call.head.status = static_cast<int>(status);
  } else if (line.empty()) {
    if (call.head.status < 200) {
      call.head = {};
      return length;
    }
    call.head_done = true;
    const std::string_view encoding = call.head.header("content-encoding");
    call.decoder = BodyDecoder::make(encoding);
    call.undecodable = !BodyDecoder::knows(encoding);
    ++call.state->inside;
    call.sink->on_head(call.head);
    --call.state->inside;
    if (call.stop != Stop::kNone) return 0;
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    call.head.headers.emplace_back(lower_case(without_blanks(line.substr(0, colon))),
                                   without_blanks(line.substr(colon + 1)));
  }
  return length;
}

std::size_t HttpClient::State::on_write(char* bytes, std::size_t size, std::size_t count, void* user) {
  Call& call = *static_cast<Call*>(user);
  const std::size_t length = size * count;
  if (call.stop != Stop::kNone) return 0;
  call.last_byte = call.state->clock.monotonic();
  if (call.first_byte.count() == 0) call.first_byte = call.last_byte - call.started;
  if (call.undecodable) {
    call.stop = Stop::kEncoding;
    return 0;
  }
  if (call.decoder == nullptr) return call.hand_on({bytes, length}) ? length : 0;
  const auto hand_on = [&call](std::string_view piece) { return call.hand_on(piece); };
  if (call.decoder->feed({bytes, length}, hand_on)) return length;
  if (call.stop == Stop::kNone) call.stop = Stop::kEncoding;
  return 0;
}

// False where the call is to end.
bool HttpClient::State::Call::hand_on(std::string_view bytes) {
  body_bytes += bytes.size();
  if (body_bytes > request.response_bytes_max) {
    stop = Stop::kTooLarge;
    return false;
  }
  ++state->inside;
  sink->on_bytes(bytes);
  --state->inside;
  return stop == Stop::kNone;
}

// libcurl calls this each time before it writes a request to a connection. The second time is its own repetition, which
// must not be.
int HttpClient::State::on_begin(void* user, char*, char*, int, int) {
  Call& call = *static_cast<Call*>(user);
  if (call.sent) {
    call.stop = Stop::kRepeat;
    return CURL_PREREQFUNC_ABORT;
  }
  call.sent = true;
  long connects = 0;
  curl_easy_getinfo(call.easy, CURLINFO_NUM_CONNECTS, &connects);
  call.reused = connects == 0;
  return CURL_PREREQFUNC_OK;
}

void HttpClient::State::act(curl_socket_t fd, int events) {
  int running = 0;
  ++inside;
  curl_multi_socket_action(multi, fd, events, &running);
  --inside;
  settle();
}

// Does what could not be done inside libcurl, until nothing is left to do.
void HttpClient::State::settle() {
  if (inside > 0) return;
  do {
    for (const CallId id : std::exchange(to_remove, {})) {
      if (auto node = calls.extract(id)) release(std::move(node.mapped()));
    }
    for (const CallId id : std::exchange(to_add, {})) {
      if (const auto found = calls.find(id); found != calls.end()) add(*found->second);
    }
    collect();
  } while (!to_remove.empty() || !to_add.empty());
}

void HttpClient::State::collect() {
  // Calls are ended outside of libcurl's queue of messages, since a sink may start and cancel others.
  std::vector<std::pair<CallId, CURLcode>> ended;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Call* call = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
    ended.emplace_back(call->id, message->data.result);
  }
  for (const auto& [id, code] : ended) {
    const auto found = calls.find(id);
    if (found != calls.end() && found->second->stop != Stop::kCancelled) end(*found->second, code);
  }
}

void HttpClient::State::end(Call& call, CURLcode code) {
  const HttpEnd end = describe(call, code);
  if (end.ok && !call.multiplexable && idle.size() < limits.calls_max) ++idle[origin(call.request.url)];
  call.whole = end.ok;
  auto node = calls.extract(call.id);
  const std::unique_ptr<HttpSink> sink = std::move(call.sink);
  release(std::move(node.mapped()));
  ++inside;
  sink->on_end(end);
  --inside;
}

HttpEnd HttpClient::State::describe(Call& call, CURLcode code) const {
  HttpEnd end;
  end.total = clock.monotonic() - call.started;
  end.first_byte = call.first_byte;
  end.reused_connection = call.reused;
  end.sent = call.sent;
  if (code == CURLE_OK && call.stop == Stop::kNone) {
    end.ok = call.decoder == nullptr || call.decoder->is_whole();
    if (end.ok) return end;
    call.stop = Stop::kEncoding;
  }
  const auto fail = [&](HttpFault fault, std::string message) {
    end.fault = fault;
    end.message = std::move(message);
    return end;
  };
  const HttpRequest& request = call.request;
  switch (call.stop) {
    case Stop::kHeadTooLarge:
      return fail(HttpFault::kTooLarge, fmt::format("the head of the response is larger than {} bytes", kHeadBytesMax));
    case Stop::kTooLarge:
      return fail(HttpFault::kTooLarge,
                  fmt::format("the response is larger than {} bytes{} (response_bytes_max)", request.response_bytes_max,
                              call.head.header("content-encoding").empty() ? "" : " when it is decoded"));
    case Stop::kEncoding:
      return fail(
          HttpFault::kProtocol,
          fmt::format("the response's Content-Encoding \"{}\" {}", printable(call.head.header("content-encoding")),
                      call.undecodable ? fmt::format("is not known: {} are", kAcceptedEncodings)
                                       : "cannot be decoded: the body is damaged, or ends too early"));
    case Stop::kFirstByte:
      return fail(HttpFault::kTimeout, fmt::format("no byte of the response came within {} (first_byte_timeout)",
                                                   to_text(request.first_byte_timeout)));
    case Stop::kIdle:
      return fail(HttpFault::kTimeout,
                  fmt::format("the response fell silent for {} (idle_timeout)", to_text(request.idle_timeout)));
    case Stop::kTotal:
      return fail(HttpFault::kTimeout,
                  fmt::format("the call took longer than {} (total_timeout)", to_text(request.total_timeout)));
    case Stop::kRepeat:
      return fail(HttpFault::kReset,
                  "the kept connection died; the request is not repeated, since it may have arrived");
    case Stop::kCancelled:
    case Stop::kNone: break;
  }
  const std::string_view told = call.message[0] != '\0' ? call.message : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return fail(HttpFault::kTimeout,
                  fmt::format("no connection within {} (connect_timeout)", to_text(request.connect_timeout)));
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return fail(HttpFault::kConnect, std::string(told));
    // libcurl would have sent it anew, and was not allowed to.
    case CURLE_SEND_FAIL_REWIND:
      return fail(HttpFault::kReset, "the connection died; the request is not repeated, since it may have arrived");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return fail(call.sent ? HttpFault::kReset : HttpFault::kConnect, std::string(told));
    default: return fail(HttpFault::kProtocol, std::string(told));
  }
}

void HttpClient::State::release(std::unique_ptr<Call> call) {
  loop.cancel(call->deadline);
  if (call->added) curl_multi_remove_handle(multi, call->easy);
  curl_easy_reset(call->easy);
  // A transfer that broke early (no such host) leaves its buffer behind in libcurl 7.88, and the handle then refuses
  // another size of buffer.
  if (call->whole && spare.size() < kSpareHandlesMax) {
    spare.push_back(call->easy);
  } else {
    curl_easy_cleanup(call->easy);
  }
  // A sink may use the client while it is destroyed.
  ++inside;
  call.reset();
  --inside;
}

CURLcode HttpClient::State::prepare(Call& call) {
  const HttpRequest& request = call.request;
  CURL* const easy = call.easy;
  std::uint64_t body_size = 0;
  for (const auto& piece : request.body) body_size += piece->size();
  call.multiplexable = strncasecmp(request.url.c_str(), "https:", 6) == 0;

  curl_slist* list = nullptr;
  bool typed = false;
  for (const std::string& header : request.headers) {
    typed = typed || strncasecmp(header.c_str(), "content-type:", 13) == 0;
    // "Name:" alone would make libcurl leave the header out; "Name;" sends it empty.
    const std::size_t colon = header.find(':');
    const bool empty = without_blanks(std::string_view(header).substr(colon + 1)).empty();
    list = curl_slist_append(list, empty ? (header.substr(0, colon) + ";").c_str() : header.c_str());
  }
  list = curl_slist_append(list, "Expect:");  // No waiting for 100 Continue.
  if (!typed) list = curl_slist_append(list, "Content-Type:");
  if (request.compression == HttpRequest::Compression::kOffered) {
    list = curl_slist_append(list, fmt::format("Accept-Encoding: {}", kAcceptedEncodings).c_str());
  }
  call.headers.reset(list);

  CURLcode code = CURLE_OK;
  code = set(code, easy, CURLOPT_ERRORBUFFER, call.message);
  code = set(code, easy, CURLOPT_PRIVATE, &call);
  code = set(code, easy, CURLOPT_URL, request.url.c_str());
  code = set(code, easy, CURLOPT_PROTOCOLS_STR, "http,https");
  code = set(code, easy, CURLOPT_PATH_AS_IS, kOn);
  // Set even where there is none: libcurl would ask the environment.
  const bool proxied = !request.proxy.empty() && !is_loopback(request.url);
  code = set(code, easy, CURLOPT_PROXY, proxied ? request.proxy.c_str() : "");
  code = set(code, easy, CURLOPT_NOPROXY, request.no_proxy.c_str());
  code = set(code, easy, CURLOPT_HTTP_VERSION,
             static_cast<long>(call.multiplexable ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  code = set(code, easy, CURLOPT_HTTPHEADER, call.headers.get());
  code = set(code, easy, CURLOPT_NOSIGNAL, kOn);
  code = set(code, easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, kOn);
  code = set(code, easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  code = set(code, easy, CURLOPT_UPLOAD_BUFFERSIZE, kSendBufferBytes);
  code = set(code, easy, CURLOPT_MAXAGE_CONN, kIdleConnectionSeconds);
  code = set(code, easy, CURLOPT_CONNECTTIMEOUT_MS,
             std::max<long>(1, static_cast<long>(request.connect_timeout.count() / 1000)));
  code = set(code, easy, CURLOPT_PREREQFUNCTION, &on_begin);
  code = set(code, easy, CURLOPT_PREREQDATA, &call);
  code = set(code, easy, CURLOPT_HEADERFUNCTION, &on_header);
  code = set(code, easy, CURLOPT_HEADERDATA, &call);
  code = set(code, easy, CURLOPT_WRITEFUNCTION, &on_write);
  code = set(code, easy, CURLOPT_WRITEDATA, &call);
  const bool body_expected = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (body_size > 0 || body_expected) {
    // The body is read in place; libcurl asks the seek function before it would send it again.
    curl_seek_callback refuse = [](void*, curl_off_t, int) -> int { return CURL_SEEKFUNC_FAIL; };
    code = set(code, easy, CURLOPT_POST, kOn);
    code = set(code, easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_size));
    code = set(code, easy, CURLOPT_READFUNCTION, &on_read);
    code = set(code, easy, CURLOPT_READDATA, &call);
    code = set(code, easy, CURLOPT_SEEKFUNCTION, refuse);
  } else if (request.method == "HEAD") {
    code = set(code, easy, CURLOPT_NOBODY, kOn);
  }
  if (request.method != "POST" && request.method != "GET" && request.method != "HEAD") {
    code = set(code, easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method == "GET" && body_size > 0) {
    code = set(code, easy, CURLOPT_CUSTOMREQUEST, "GET");
  }
  if (!call.multiplexable) {
    const auto kept = idle.find(origin(request.url));
    if (kept == idle.end()) {
      code = set(code, easy, CURLOPT_FRESH_CONNECT, kOn);
    } else if (--kept->second == 0) {
      idle.erase(kept);
    }
  }
  return code;
}

void HttpClient::State::add(Call& call) {
  WEFT_CHECK(curl_multi_add_handle(multi, call.easy) == CURLM_OK, "libcurl takes no further transfer");
  call.added = true;
}

// One timer a call, set anew only when it fires: bytes merely move `last_byte`.
void HttpClient::State::watch_deadlines(Call& call) {
  const HttpRequest& request = call.request;
  const Duration elapsed = clock.monotonic() - call.started;
  Duration wait = Duration::max();
  const auto consider = [&](Duration limit, Duration since) {
    if (limit.count() > 0) wait = std::min(wait, since + limit - elapsed);
  };
  consider(request.total_timeout, Duration{0});
  if (call.body_bytes == 0) {
    consider(request.first_byte_timeout, Duration{0});
  } else {
    consider(request.idle_timeout, call.last_byte - call.started);
  }
  // Before the first byte nothing may be due, and afterwards silence may be: looked at again then.
  if (call.body_bytes == 0) consider(request.idle_timeout, elapsed);
  if (wait == Duration::max()) return;
  call.deadline = loop.after(wait, [this, id = call.id] {
    if (const auto found = calls.find(id); found != calls.end()) on_deadline(*found->second);
  });
}

void HttpClient::State::on_deadline(Call& call) {
  const HttpRequest& request = call.request;
  const Duration now = clock.monotonic();
  const auto over = [&](Duration limit, Duration since) { return limit.count() > 0 && now - since >= limit; };
  if (over(request.total_timeout, call.started)) {
    call.stop = Stop::kTotal;
  } else if (call.body_bytes == 0 && over(request.first_byte_timeout, call.started)) {
    call.stop = Stop::kFirstByte;
  } else if (call.body_bytes > 0 && over(request.idle_timeout, call.last_byte)) {
    call.stop = Stop::kIdle;
  } else {
    watch_deadlines(call);
    return;
  }
  end(call, CURLE_OPERATION_TIMEDOUT);
  settle();
}

Result<HttpClient::CallId> HttpClient::State::start(HttpRequest request, std::unique_ptr<HttpSink> sink) {
  WEFT_RETURN_IF_ERROR(check_request(request));
  if (ending) return failed_precondition("the HTTP client is ending");
  if (calls.size() >= limits.calls_max) {
    return resource_exhausted(
               fmt::format("{} HTTP calls are in flight; the limit is {}", calls.size(), limits.calls_max))
        .with("limit", "http_calls_max");
  }
  auto call = std::make_unique<Call>();
  call->state = this;
  call->request = std::move(request);
  call->sink = std::move(sink);
  if (!spare.empty()) {
    call->easy = spare.back();
    spare.pop_back();
  } else {
    call->easy = curl_easy_init();
  }
  WEFT_CHECK(call->easy != nullptr, "libcurl makes no further handle");
  call->id = ++last;
  call->started = clock.monotonic();
  if (const CURLcode code = prepare(*call); code != CURLE_OK) {
    release(std::move(call));
    return internal(fmt::format("libcurl refuses an option: {}", curl_easy_strerror(code)));
  }
  Call& kept = *call;
  calls.emplace(kept.id, std::move(call));
  watch_deadlines(kept);
  if (inside > 0) {
    to_add.push_back(kept.id);
  } else {
    add(kept);
  }
  return kept.id;
}

void HttpClient::State::cancel(CallId id) {
  const auto found = calls.find(id);
  if (found == calls.end() || found->second->stop == Stop::kCancelled) return;
  if (inside > 0) {
    found->second->stop = Stop::kCancelled;
    to_remove.push_back(id);
    return;
  }
  auto node = calls.extract(found);
  release(std::move(node.mapped()));
  settle();
}

void HttpClient::State::shut() {
  WEFT_CHECK(inside == 0, "an HTTP client ends inside a callback of its own");
  ending = true;
  while (!calls.empty()) release(std::move(calls.extract(calls.begin()).mapped()));
  for (CURL* easy : spare) curl_easy_cleanup(easy);
  sockets.reset();
}

HttpClient::HttpClient(Loop& loop, Limits limits) : state_(std::make_unique<State>(loop, limits)) {
  State& s = *state_;
  s.sockets.emplace(loop, [&s](curl_socket_t fd, int events) { s.act(fd, events); });
  s.multi = s.sockets->multi();
  curl_multi_setopt(s.multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  curl_multi_setopt(s.multi, CURLMOPT_MAXCONNECTS, static_cast<long>(limits.idle_connections_max));
}

HttpClient::~HttpClient() { state_->shut(); }

Result<HttpClient::CallId> HttpClient::start(HttpRequest request, std::unique_ptr<HttpSink> sink) {
  return state_->start(std::move(request), std::move(sink));
}
void HttpClient::cancel(CallId call) { state_->cancel(call); }
std::size_t HttpClient::in_flight() const { return state_->calls.size(); }
Loop& HttpClient::loop() const { return state_->loop; }

}  // namespace weft
