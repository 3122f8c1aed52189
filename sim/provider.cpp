#include "sim/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "sim/answer.h"
#include "sim/cache.h"
#include "sim/connection.h"
#include "sim/log.h"
#include "sim/places.h"
#include "sim/render.h"
#include "sim/request.h"
#include "sim/stream.h"
#include "sim/tally.h"

namespace weft::sim {
namespace {

constexpr std::size_t kBodyBytesMax = std::size_t{64} << 20;
// Connections beside the streams: they wait for their next request, or are told that there are too many.
constexpr std::size_t kSpareConnections = 64;
const Detail kOfScript = {"source", "script"};

std::string error_body(std::string_view message, std::string_view type) {
  return to_text(Json{{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", type}}}});
}

Refusal refusal_of(int status, std::string_view message, std::string_view type) {
  Refusal refusal;
  refusal.status = status;
  refusal.body = error_body(message, type);
  return refusal;
}

struct Counts {
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<std::uint64_t> hit = 0;
  std::atomic<std::uint64_t> miss = 0;
  std::atomic<std::uint64_t> out = 0;
};

// All that one response needs until its last byte; settled once, whatever ends it.
struct Exchange {
  Exchange(Places& taken_from, LogLine about, std::uint64_t unit_tokens)
      : places(taken_from), line(std::move(about)), prompt("", unit_tokens) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() { leave_place(); }

  void leave_place() {
    if (holds_place) places.give_back();
    holds_place = false;
  }

  Places& places;
  bool holds_place = true;
  bool settled = false;
  LogLine line;
  Request request;
  Reply reply;
  Answer answer;
  Trail prompt;
  SteadyTime from = std::chrono::steady_clock::now();
};

class HttpProvider final : public Provider {
 public:
  HttpProvider(std::shared_ptr<const Script> script, const ProviderOptions& options, std::size_t streams_max)
      : script_(std::move(script)),
        host_(options.host),
        cache_(script_->settings().cache),
        places_(streams_max),
        http_({.connections_max = 2 * streams_max + kSpareConnections, .body_bytes_max = kBodyBytesMax}) {}

  ~HttpProvider() override {
    http_.end();
    if (thread_.joinable()) thread_.join();
  }

  Status open(const ProviderOptions& options) {
    WEFT_RETURN_IF_ERROR(log_.open(options.log_path));
    route();
    port_ = http_.bind(host_, options.port);
    if (port_ <= 0) {
      return unavailable(fmt::format("{}:{} cannot be listened on: {}", host_, options.port, std::strerror(errno)));
    }
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    // Ending it before it has begun would not end it.
    while (!http_.is_running()) std::this_thread::yield();
    return {};
  }

  int port() const override { return port_; }
  std::string base_url() const override {
    bool v6 = host_.contains(':');
    return fmt::format("http://{}{}{}:{}/v1", v6 ? "[" : "", host_, v6 ? "]" : "", port_);
  }
  std::uint64_t requests() const override { return counts_.requests; }

 private:
  void route() {
    for (const char* path : {"/v1/chat/completions", "/chat/completions"}) {
      http_.Post(path, [this](const httplib::Request& http, httplib::Response& response) { complete(http, response); });
    }
    for (const char* path : {"/v1/models", "/models"}) {
      http_.Get(path, [this](const httplib::Request&, httplib::Response& response) {
        response.set_content(models(), "application/json");
      });
    }
    http_.Get("/health", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(R"({"status":"ok"})", "application/json");
    });
    http_.Get("/stats", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(stats(), "application/json");
    });
    http_.set_error_handler([](const httplib::Request& http, httplib::Response& response) {
      if (!response.body.empty()) return;
      std::string_view what = response.status == 404   ? "There is no such path."
                              : response.status == 413 ? "The request is larger than body_bytes_max."
                                                       : "The request cannot be served.";
      response.set_content(error_body(fmt::format("{} {} {}", what, http.method, http.path), "invalid_request_error"),
                           "application/json");
    });
  }

  std::string models() const {
    Json list = Json::array();
    std::vector<std::string> names = {"deepseek-flash", "deepseek-v4-pro"};
    const auto& own = script_->settings().models;
    names.insert(names.end(), own.begin(), own.end());
    for (const std::string& name : names) list.push_back({{"id", name}, {"object", "model"}, {"owned_by", "sim"}});
    return to_text(Json{{"object", "list"}, {"data", std::move(list)}});
  }

  std::string stats() const {
    auto [taken, most] = places_.taken_and_most();
    return to_text(
        Json{{"requests", counts_.requests.load()},
             {"refused", counts_.refused.load()},
             {"streams", taken},
             {"max_in_flight", most},
             {"tokens", {{"hit", counts_.hit.load()}, {"miss", counts_.miss.load()}, {"out", counts_.out.load()}}}});
  }

  void refuse(LogLine& line, Refusal refusal, httplib::Response& response) {
    ++counts_.refused;
    line.status = refusal.status;
    line.end = end_name(End::kRefused);
    log_.write(line);
    response.status = refusal.status;
    if (!refusal.retry_after.empty()) response.set_header("Retry-After", refusal.retry_after);
    response.set_content(refusal.body, refusal.content_type);
  }

  void complete(const httplib::Request& http, httplib::Response& response) {
    LogLine line;
    line.number = ++counts_.requests;
    line.bytes = http.body.size();
    if (log_.wanted()) line.sha256 = to_hex(view(sha256(http.body)));
    response.set_header("x-request-id", fmt::format("sim-{}", line.number));
    if (!places_.take()) {
      std::string said = fmt::format("Too many concurrent requests: streams_max is {}.", places_.max());
      return refuse(line, refusal_of(429, said, "rate_limit_error"), response);
    }
    auto exchange = std::make_shared<Exchange>(places_, std::move(line), script_->settings().cache.unit);
    Status prepared = prepare(http, *exchange);
    if (!prepared) {
      exchange->leave_place();
      const Error& error = prepared.error();
      return refuse(exchange->line, refusal_of(400, error.message, refusal_type(error)), response);
    }
    respond(std::move(exchange), response);
  }

  // What is wrong with the script is said apart from what is wrong with the request.
  static std::string_view refusal_type(const Error& error) {
    bool of_script = std::ranges::find(error.details, kOfScript) != error.details.end();
    return of_script ? "script_error" : "invalid_request_error";
  }

  Status prepare(const httplib::Request& http, Exchange& exchange) {
    WEFT_TRY(exchange.request, read_request(http.body, script_->settings()));
    const Request& request = exchange.request;
    exchange.line.model = request.model;
    Rendered rendered = render(request);
    std::uint64_t prompt_tokens = tokens_of(rendered.text.size());
    std::uint64_t context = script_->settings().context;
    if (context > 0 && prompt_tokens > context) {
      return invalid_argument(fmt::format(
          "This model's maximum context length is {} tokens. However, your messages resulted in {} tokens. Please "
          "reduce the length of the messages.",
          context, prompt_tokens));
    }
    auto reply = script_->answer(request, tally_);
    if (!reply) return Error(std::move(reply).error()).with(kOfScript.key, kOfScript.value);
    exchange.reply = *std::move(reply);
    exchange.line.rule = exchange.reply.rule;
    if (exchange.reply.refusal || exchange.reply.faults.drop) return {};

    std::string key_space =
        fmt::format("{}\n{}\n{}\n", http.get_header_value("Authorization"), request.user_id, request.model);
    exchange.prompt = Trail(key_space, script_->settings().cache.unit);
    exchange.prompt.extend(rendered.text, rendered.ends);
    exchange.line.hit = cache_.hit(exchange.prompt, clock_.monotonic());
    exchange.line.miss = prompt_tokens - exchange.line.hit;
    auto seconds = std::chrono::floor<std::chrono::seconds>(clock_.now()).time_since_epoch().count();
    exchange.answer = make_answer(request, exchange.reply,
                                  {.number = exchange.line.number,
                                   .prompt_hash = exchange.prompt.ends().back().hash,
                                   .prompt_tokens = prompt_tokens,
                                   .hit_tokens = exchange.line.hit,
                                   .seconds = seconds});
    return {};
  }

  void respond(std::shared_ptr<Exchange> exchange, httplib::Response& response) {
    Connection& connection = Connection::current();
    const Reply& reply = exchange->reply;
    if (reply.faults.drop) {
      settle(*exchange, End::kReset, 0);
      return connection.reset();
    }
    if (reply.refusal) {
      connection.wait_until(due(reply.pace, exchange->from, 0));
      exchange->leave_place();
      return refuse(exchange->line, *reply.refusal, response);
    }
    if (exchange->request.stream) return respond_streaming(std::move(exchange), connection, response);
    respond_whole(std::move(exchange), connection, response);
  }

  void respond_streaming(std::shared_ptr<Exchange> exchange, Connection& connection, httplib::Response& response) {
    response.set_header("Cache-Control", "no-cache");
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, exchange, &connection](std::size_t, httplib::DataSink& sink) {
          EventStream stream(exchange->answer, exchange->reply,
                             exchange->request.include_usage ? UsageChunk::kSent : UsageChunk::kLeftOut, connection,
                             exchange->from);
          bool whole = stream.send([&](std::string_view bytes) { return sink.write(bytes.data(), bytes.size()); },
                                   [&](End end, std::uint64_t sent) { settle(*exchange, end, sent); });
          if (whole) sink.done();
          return whole;
        },
        // Where the client left before the first byte, nothing was sent and nothing booked.
        [this, exchange](bool) { settle(*exchange, End::kGone, 0); });
  }

  // Faults strike a whole body in its middle, whatever token they name.
  void respond_whole(std::shared_ptr<Exchange> exchange, Connection& connection, httplib::Response& response) {
    const Reply& reply = exchange->reply;
    const Faults& faults = reply.faults;
    SteadyTime at = due(reply.pace, exchange->from, exchange->answer.tokens);
    if (connection.wait_until(at) == Connection::Wait::kGone) return settle(*exchange, End::kGone, 0);
    std::string body = reply.raw.empty() ? whole_body(exchange->answer) : "";
    for (const std::string& text : reply.raw) body += text + "\n";
    std::string half = body.substr(0, body.size() / 2);
    End end = faults.cut_after     ? End::kCut
              : faults.stall_after ? End::kStalled
              : faults.reset_after ? End::kReset
                                   : End::kDone;
    if (end == End::kDone) {
      settle(*exchange, end, exchange->answer.tokens);
      return response.set_content(faults.malformed_after ? half : body, "application/json");
    }
    response.set_content_provider(
        body.size(), "application/json",
        [this, exchange, half, end, &connection](std::size_t, std::size_t, httplib::DataSink& sink) {
          sink.write(half.data(), half.size());
          if (end == End::kStalled) connection.wait_until_gone();
          settle(*exchange, end, 0);
          if (end == End::kReset) connection.reset();
          return false;
        },
        [this, exchange](bool) { settle(*exchange, End::kGone, 0); });
  }

  // Books the response, before its last bytes leave.
  void settle(Exchange& exchange, End end, std::uint64_t tokens_sent) {
    if (std::exchange(exchange.settled, true)) return;
    const Answer& answer = exchange.answer;
    if (end == End::kDone) {
      Trail whole = exchange.prompt;
      std::string said = render_answer(answer.reasoning, answer.text, answer.calls);
      whole.extend(said, {said.size()});
      cache_.leave(exchange.prompt, whole, clock_.monotonic());
    }
    counts_.hit += exchange.line.hit;
    counts_.miss += exchange.line.miss;
    counts_.out += tokens_sent;
    exchange.line.out = tokens_sent;
    exchange.line.end = end_name(end);
    log_.write(exchange.line);
    exchange.leave_place();
  }

  const std::shared_ptr<const Script> script_;
  const std::string host_;
  SystemClock clock_;
  Log log_;
  Tally tally_;
  Cache cache_;
  Places places_;
  Counts counts_;
  HttpServer http_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Provider>> Provider::start(std::shared_ptr<const Script> script,
                                                  const ProviderOptions& options) {
  if (script == nullptr) return invalid_argument("a simulated provider needs a script; Script::echo() is one");
  std::size_t streams_max = script->settings().streams_max;
  if (streams_max == 0) streams_max = options.streams_max;
  auto provider = std::make_unique<HttpProvider>(std::move(script), options, streams_max);
  WEFT_RETURN_IF_ERROR(provider->open(options));
  return std::unique_ptr<Provider>(std::move(provider));
}

}  // namespace weft::sim
