#include "runtime/model/client.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "runtime/model/masking.h"

namespace weft::model {
namespace {

// A call that could not be started is told so by a timer, whose id is marked with this bit.
constexpr Client::CallId kRefused = Client::CallId{1} << 63;
// How long a complete stream may take to close properly, so that its connection can be used again.
constexpr Duration kDrainTimeout{1'000'000};

class CallSink;
// The calls in flight. Shared with the sinks, which may outlive the client by a moment.
struct Live {
  std::unordered_map<Client::CallId, CallSink*> calls;
  std::unordered_set<Loop::TimerId> refused;
};

class CallSink final : public HttpSink {
 public:
  CallSink(HttpClient& http, std::shared_ptr<Live> live, const Call& call, OnProgress on_progress,
           std::shared_ptr<OnOutcome> on_outcome)
      : http_(http),
        live_(std::move(live)),
        first_token_timeout_(call.endpoint.first_token_timeout),
        secrets_(call.secrets),
        progress_(std::move(on_progress), secrets_),
        decoder_(call.dialect->decoder(
            [this](Stream stream, std::string_view text) {
              if (on_outcome_) progress_(stream, text);
            },
            {})),
        on_outcome_(std::move(on_outcome)),
        started_(clock_.monotonic()) {}
  ~CallSink() override {
    http_.loop().cancel(timer_);
    live_->calls.erase(id_);
  }

  void begin(HttpClient::CallId id) {
    id_ = id;
    live_->calls.emplace(id, this);
    if (first_token_timeout_.count() > 0) {
      timer_ = http_.loop().after(first_token_timeout_, [this] { on_first_token_timeout(); });
    }
  }

  // From here on nothing is told, also where a callback of ours is running.
  void silence() { on_outcome_ = nullptr; }

  void on_head(const HttpHead& head) override { decoder_->head(head); }

  void on_bytes(std::string_view bytes) override {
    if (!on_outcome_) return;  // Settled; only the end of the body is awaited.
    decoder_->bytes(bytes);
    if (first_token_.count() == 0 && decoder_->has_token()) {
      first_token_ = clock_.monotonic() - started_;
      http_.loop().cancel(timer_);
    }
    if (on_outcome_ && decoder_->settled()) settle();
  }

  void on_end(const HttpEnd& end) override {
    if (on_outcome_) deliver(end);
  }

 private:
  // The outcome does not wait for the end of the body, which some servers never send.
  void settle() {
    HttpEnd end;
    end.ok = true;
    end.total = clock_.monotonic() - started_;
    http_.loop().cancel(timer_);
    timer_ = http_.loop().after(kDrainTimeout, [this] { http_.cancel(id_); });
    deliver(end);
  }

  void on_first_token_timeout() {
    HttpEnd end;
    end.fault = HttpFault::kTimeout;
    end.sent = true;
    end.message = fmt::format("no token came within {} (first_token_timeout)", to_text(first_token_timeout_));
    end.total = clock_.monotonic() - started_;
    // The sink dies with the call, so what is still needed leaves it first.
    Outcome outcome = decoder_->finish(end);
    if (secrets_) mask(outcome, *secrets_);
    const std::shared_ptr<OnOutcome> on_outcome = std::exchange(on_outcome_, nullptr);
    http_.cancel(id_);
    if (on_outcome) (*on_outcome)(std::move(outcome));
  }

  void deliver(const HttpEnd& end) {
    Outcome outcome = decoder_->finish(end);
    if (secrets_) mask(outcome, *secrets_);
    if (auto* answer = std::get_if<Answer>(&outcome)) {
      answer->first_token = first_token_;
      answer->total = end.total;
      if (on_outcome_) progress_.finish();
    } else if (end.ok) {
      http_.cancel(id_);  // Nothing is worth waiting for; an ended call ignores it.
    }
    // The decoder's last progress may have cancelled the call.
    if (const std::shared_ptr<OnOutcome> on_outcome = std::exchange(on_outcome_, nullptr)) {
      (*on_outcome)(std::move(outcome));
    }
  }

  HttpClient& http_;
  const std::shared_ptr<Live> live_;
  const Duration first_token_timeout_;
  const SystemClock clock_;
  const std::shared_ptr<const SecretMask> secrets_;
  MaskedProgress progress_;
  const std::unique_ptr<ResponseDecoder> decoder_;
  std::shared_ptr<OnOutcome> on_outcome_;  // Null from the outcome on.
  const Duration started_;
  Duration first_token_{};
  HttpClient::CallId id_ = 0;
  Loop::TimerId timer_ = 0;
};

HttpRequest to_request(Call call) {
  const Endpoint& endpoint = call.endpoint;
  HttpRequest request = call.dialect->request(endpoint);
  request.proxy = endpoint.proxy;
  request.no_proxy = endpoint.no_proxy;
  request.body = std::move(call.body);
  request.idle_timeout = endpoint.idle_timeout;
  request.total_timeout = endpoint.total_timeout;
  request.response_bytes_max = endpoint.response_bytes_max;
  return request;
}

}  // namespace

struct Client::State {
  std::shared_ptr<Live> live = std::make_shared<Live>();
};

Client::Client(HttpClient& http) : http_(http), state_(std::make_unique<State>()) {}

Client::~Client() {
  for (const Loop::TimerId timer : state_->live->refused) http_.loop().cancel(timer);
  while (!state_->live->calls.empty()) {
    const CallId id = state_->live->calls.begin()->first;
    cancel(id);
    state_->live->calls.erase(id);
  }
}

Client::CallId Client::start(Call call, OnProgress on_progress, OnOutcome on_outcome) {
  WEFT_CHECK(call.dialect != nullptr, "a call is written in no dialect");
  const auto told = std::make_shared<OnOutcome>(std::move(on_outcome));
  auto sink = std::make_unique<CallSink>(http_, state_->live, call, std::move(on_progress), told);
  CallSink& kept = *sink;
  const Result<HttpClient::CallId> id = http_.start(to_request(std::move(call)), std::move(sink));
  if (id) {
    kept.begin(*id);
    return *id;
  }
  Failure failure;
  failure.kind = id.error().code == Code::kResourceExhausted ? FailureKind::kOverloaded : FailureKind::kInvalidRequest;
  failure.message = id.error().message;
  const auto timer = std::make_shared<Loop::TimerId>();
  *timer = http_.loop().after(Duration{0}, [live = state_->live, timer, told, failure = std::move(failure)]() mutable {
    live->refused.erase(*timer);
    (*told)(std::move(failure));
  });
  state_->live->refused.insert(*timer);
  return kRefused | *timer;
}

void Client::cancel(CallId call) {
  Live& live = *state_->live;
  if ((call & kRefused) != 0) {
    const Loop::TimerId timer = call & ~kRefused;
    if (live.refused.erase(timer) > 0) http_.loop().cancel(timer);
    return;
  }
  if (const auto found = live.calls.find(call); found != live.calls.end()) found->second->silence();
  http_.cancel(call);
}

}  // namespace weft::model
