// Clients that take too much: slow calls, answers and streams that nobody reads, many large requests at once.
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/server/held_bytes.h"
#include "runtime/server/status.h"
#include "runtime/server/work_pool.h"
#include "tests/server/serving.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::server {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t pages = 0;
  std::size_t resident = 0;
  in >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// The most that the process holds while this lives, above what it held before.
class Peak {
 public:
  Peak()
      : before_(resident_bytes()), thread_([this] {
          while (!stop_) {
            most_ = std::max(most_.load(), resident_bytes());
            std::this_thread::sleep_for(2ms);
          }
        }) {}
  ~Peak() {
    stop_ = true;
    thread_.join();
  }
  std::size_t growth() const { return most_ > before_ ? most_ - before_ : 0; }
  std::size_t growth_now() const { return resident_bytes() > before_ ? resident_bytes() - before_ : 0; }

 private:
  const std::size_t before_;
  std::atomic<std::size_t> most_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

template <class Condition>
bool comes_true(const Condition& condition, std::chrono::milliseconds patience = 10s) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

// Calls of one method that are under way, each with an empty request.
class Calls {
 public:
  explicit Calls(const std::shared_ptr<grpc::Channel>& channel, std::string method = kCheck, std::string token = "")
      : stub_(channel), method_(std::move(method)), token_(std::move(token)) {}
  ~Calls() {
    for (Call& call : calls_) call.context.TryCancel();
    while (!all_answered()) std::this_thread::sleep_for(1ms);
  }
  void send(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Call& call = calls_.emplace_back();
      if (!token_.empty()) call.context.AddMetadata("authorization", "Bearer " + token_);
      stub_.UnaryCall(&call.context, method_, {}, &call.request, &call.response, [this](grpc::Status status) {
        const std::lock_guard lock(mutex_);
        statuses_.push_back(std::move(status));
      });
    }
  }
  std::vector<grpc::Status> answered() {
    const std::lock_guard lock(mutex_);
    return statuses_;
  }
  bool all_answered() { return answered().size() == calls_.size(); }

  static constexpr const char* kCheck = "/weft.v1.Workflows/Check";

 private:
  struct Call {
    grpc::ClientContext context;
    grpc::Slice nothing;
    grpc::ByteBuffer request{&nothing, 1};
    grpc::ByteBuffer response;
  };
  grpc::GenericStub stub_;
  const std::string method_;
  const std::string token_;
  std::list<Call> calls_;
  std::mutex mutex_;
  std::vector<grpc::Status> statuses_;
};

// What may be long takes as long as this lives.
class Slowness {
 public:
  explicit Slowness(FakeApi& api) : api_(api) { api_.hold_long(true); }
  ~Slowness() { api_.hold_long(false); }
  Slowness(const Slowness&) = delete;
  Slowness& operator=(const Slowness&) = delete;

 private:
  FakeApi& api_;
};

}  // namespace

TEST_CASE(
    "slow calls hold up no submission, no cancel, no read and no health, and more than wait are refused in words") {
  FakeApi api;
  api.add_run("run-1");
  const ServerPlace place;
  const auto server = started(api, place.options);
  api.hold_long(true);
  Calls checks(channel_to(*server));
  checks.send(3);
  REQUIRE(comes_true([&] { return api.long_calls() == 3; }));
  checks.send(57);
  // Three threads work for one caller, 48 calls of its wait, and the rest is told when to ask again.
  REQUIRE(comes_true([&] { return checks.answered().size() == 9; }));
  CHECK(api.long_calls() == 3);
  for (const grpc::Status& status : checks.answered()) {
    const Error error = from_grpc(status);
    CHECK(error.code == Code::kResourceExhausted);
    CHECK(error.details == std::vector<Detail>{{"limit", "work_waiting_max"}, {"retry_after_ms", "1000"}});
  }
  const auto channel = channel_to(*server);
  const auto runs = v1::Runs::NewStub(channel);
  const auto in_time = [](grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + 2s);
    return &context;
  };
  {
    grpc::ClientContext context;
    v1::RunsSubmitResponse response;
    CHECK(runs->Submit(in_time(context), {}, &response).ok());
  }
  {
    grpc::ClientContext context;
    v1::RunsListResponse response;
    CHECK(runs->List(in_time(context), {}, &response).ok());
  }
  {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    CHECK(grpc::health::v1::Health::NewStub(channel)->Check(in_time(context), {}, &response).ok());
  }
  {
    grpc::ClientContext context;
    v1::RunsCancelRequest request;
    request.set_run_id("run-1");
    v1::RunsCancelResponse response;
    CHECK(runs->Cancel(in_time(context), request, &response).ok());
  }
  api.hold_long(false);
  CHECK(comes_true([&] { return checks.all_answered(); }));
}

TEST_CASE("each call that may be long leaves gRPC's threads to others: Check, Apply, Retry, Fork and Replay") {
  FakeApi api;
  const ServerPlace place;
  const auto server = started(api, place.options);
  for (const char* method : {Calls::kCheck, "/weft.v1.Workflows/Apply", "/weft.v1.Runs/Retry", "/weft.v1.Runs/Fork",
                             "/weft.v1.Traces/Replay"}) {
    CAPTURE(method);
    const auto slowness = std::make_unique<Slowness>(api);
    Calls calls(channel_to(*server), method);
    calls.send(3);
    CHECK(comes_true([&] { return api.long_calls() == 3; }, 5s));
    calls.send(57);
    // Three are at work, 48 wait for a thread of the pool, and the rest is refused: none is on a thread of gRPC's.
    CHECK(comes_true([&] { return calls.answered().size() == 9; }, 5s));
    CHECK(api.long_calls() == 3);
    for (const grpc::Status& status : calls.answered())
      CHECK(from_grpc(status).details.front() == Detail{"limit", "work_waiting_max"});
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 2s);
    v1::RunsSubmitResponse response;
    CHECK(v1::Runs::NewStub(channel_to(*server))->Submit(&context, {}, &response).ok());
    api.hold_long(false);
    CHECK(comes_true([&] { return calls.all_answered(); }));
    REQUIRE(comes_true([&] { return api.long_calls() == 0; }));
  }
}

TEST_CASE("one caller's slow calls leave a thread to others") {
  FakeApi api;
  ServerPlace place;
  place.options.grpc.push_back({"127.0.0.1:0"});
  const auto server = started(api, place.options);
  const std::string token = *Tokens(place.options.tokens).own();
  api.hold_long(true);
  Calls greedy(channel_to(server->grpc_addresses().back()), Calls::kCheck, token);
  greedy.send(30);
  REQUIRE(comes_true([&] { return api.long_calls() == 3; }));
  Calls modest(channel_to(*server));
  modest.send(1);
  CHECK(comes_true([&] { return api.long_calls() == 4; }));
  api.hold_long(false);
  CHECK(comes_true([&] { return greedy.all_answered() && modest.all_answered(); }));
}

TEST_CASE("a call that waits for a thread and whose client leaves does no work") {
  FakeApi api;
  const ServerPlace place;
  const auto server = started(api, place.options);
  // How many calls were begun beside the last one, where the server had so long to hear that the client had left.
  const auto begun_after = [&](std::chrono::milliseconds heard) {
    REQUIRE(comes_true([&] { return api.long_calls() == 0; }));
    api.hold_long(true);
    Calls checks(channel_to(*server));
    checks.send(3);
    REQUIRE(comes_true([&] { return api.long_calls() == 3; }));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 100ms);
    v1::WorkflowsCheckResponse response;
    CHECK(v1::Workflows::NewStub(channel_to(*server))->Check(&context, {}, &response).error_code() ==
          grpc::StatusCode::DEADLINE_EXCEEDED);
    const std::size_t before = api.long_begun();
    std::this_thread::sleep_for(heard);
    api.hold_long(false);
    CHECK(comes_true([&] { return checks.all_answered(); }));
    // Behind it in the same line, so it has had its turn.
    Calls last(channel_to(*server));
    last.send(1);
    CHECK(comes_true([&] { return last.all_answered(); }));
    return api.long_begun() - before;
  };
  // Nothing tells a client when the server has heard of it; a busy machine takes a while.
  std::size_t begun = 0;
  for (auto heard = 10ms; begun != 1 && heard < 5s; heard *= 4) begun = begun_after(heard);
  CHECK(begun == 1);
}

TEST_CASE("a pool serves callers in turn, and refuses what waits when it closes") {
  WorkPool pool({"waiting_max", 1, 1, 100, 100});
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  bool held = false;  // A job waits on the thread.
  std::vector<std::string> order;
  const auto add = [&](const std::string& caller, const std::string& name) {
    WorkPool::Job job = [&, name](const Status& turn) {
      const std::lock_guard lock(mutex);
      order.push_back(turn ? name : "refused " + name);
      changed.notify_all();
    };
    REQUIRE(pool.run(caller, job));
  };
  const auto hold = [&](const std::string& name) {
    WorkPool::Job job = [&, name](const Status& turn) {
      std::unique_lock lock(mutex);
      held = true;
      changed.notify_all();
      changed.wait(lock, [&] { return go || !turn; });
      order.push_back(turn ? name : "refused " + name);
      held = false;
      changed.notify_all();
    };
    REQUIRE(pool.run("a", job));
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return held; });
  };
  hold("first");
  for (int i = 0; i < 3; ++i) add("a", "a" + std::to_string(i));
  for (int i = 0; i < 2; ++i) add("b", "b" + std::to_string(i));
  {
    std::unique_lock lock(mutex);
    go = true;
    changed.notify_all();
    changed.wait(lock, [&] { return order.size() == 6; });
    CHECK(order == std::vector<std::string>{"first", "b0", "a0", "b1", "a1", "a2"});
    go = false;
    order.clear();
  }
  hold("held");
  add("a", "behind");
  std::thread closing([&] { pool.close(); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !order.empty(); });
    CHECK(order.front() == "refused behind");
    go = true;
    changed.notify_all();
  }
  closing.join();
  WorkPool::Job late = [](const Status&) {};
  CHECK(pool.run("a", late).error().code == Code::kUnavailable);
}

TEST_CASE("held bytes are bounded for each caller and in all, and given back") {
  HeldBytes held;
  auto first = held.take("a", kHeldBytesOfCallerMax);
  REQUIRE(first);
  const auto refused = held.take("a", kCountedBytesMin);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().details ==
        std::vector<Detail>{{"limit", "held_bytes_of_caller_max"}, {"retry_after_ms", "1000"}});
  auto second = held.take("b", kHeldBytesMax - kHeldBytesOfCallerMax);
  REQUIRE(second);
  CHECK(held.take("b", kCountedBytesMin).error().details.front() == Detail{"limit", "held_bytes_max"});
  CHECK(held.take("a", kCountedBytesMin - 1));  // Small messages are bounded by their number.
  second->shrink(kCountedBytesMin);
  CHECK(held.bytes() == kHeldBytesOfCallerMax + kCountedBytesMin);
  *first = Hold();
  *second = Hold();
  CHECK(held.bytes() == 0);
  CHECK(held.worth_trimming());
  CHECK_FALSE(held.worth_trimming());
}

TEST_CASE("contents that nobody reads are held a piece at a time, and their streams are cut off") {
  FakeApi api;
  api.add_run("run-1");
  ServerPlace place;
  place.options.watch_stall_max = 1s;
  const auto server = started(api, place.options);
  v1::TracesGetContentRequest request;
  request.set_run_id("run-1");
  request.set_sha256(api.add_content("run-1", std::string(15 * kMiB, 'x')));
  const auto traces = v1::Traces::NewStub(unread_channel_to(*server));
  const Peak peak;
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::TracesGetContentResponse>> reader;
  };
  std::list<Stream> streams;
  for (int i = 0; i < 150; ++i) {
    Stream& stream = streams.emplace_back();
    stream.reader = traces->GetContent(&stream.context, request);
  }
  std::this_thread::sleep_for(1500ms);
  std::size_t cut = 0;
  for (Stream& stream : streams) {
    for (v1::TracesGetContentResponse piece; stream.reader->Read(&piece);) {
    }
    const grpc::Status status = stream.reader->Finish();
    if (status.error_code() != grpc::StatusCode::OK) ++cut;
  }
  CHECK(cut == 150);
  INFO("grew by " << peak.growth() / kMiB << " MiB");
  CHECK(peak.growth() < 200 * kMiB);  // 2,250 MiB, were they held whole.
}

TEST_CASE("watches that nobody reads hold a bounded number of bytes, and are cut off") {
  FakeApi api;
  api.add_run("run-1");
  for (int i = 0; i < 40; ++i) api.append("run-1", 256 << 10);
  ServerPlace place;
  CHECK(place.options.watch_stall_max == 30s);  // Unless somebody says otherwise.
  place.options.watch_stall_max = 2s;
  const auto server = started(api, place.options);
  const Peak peak;
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::RunsWatchResponse>> reader;
  };
  std::list<Stream> streams;
  v1::RunsWatchRequest request;
  request.set_run_id("run-1");
  for (int connection = 0; connection < 4; ++connection) {
    const auto runs = v1::Runs::NewStub(unread_channel_to(*server));
    for (int i = 0; i < 500; ++i) {
      Stream& stream = streams.emplace_back();
      stream.reader = runs->Watch(&stream.context, request);
    }
  }
  CHECK(comes_true([&] { return api.watchers("run-1") > 0; }));
  CHECK(comes_true([&] { return api.watchers("run-1") == 0; }, 60s));
  INFO("grew by " << peak.growth() / kMiB << " MiB");
  CHECK(peak.growth() < 700 * kMiB);  // Over 2,000 MiB, were a page held for each.
  for (Stream& stream : streams) stream.context.TryCancel();
  for (Stream& stream : streams) (void)stream.reader->Finish();
}

TEST_CASE("answers that nobody reads are bounded, and dropped after a while") {
  FakeApi api;
  api.add_run("run-1");
  for (int i = 0; i < 8; ++i) api.append("run-1", kMiB);
  ServerPlace place;
  place.options.watch_stall_max = 1s;
  const auto server = started(api, place.options);
  v1::TracesGetRequest request;
  request.set_run_id("run-1");
  const Peak peak;
  // A stream of the client's side is read only as far as its window, while nobody takes a message from it.
  const auto channel = unread_channel_to(*server);
  const grpc::internal::RpcMethod method("/weft.v1.Traces/Get", grpc::internal::RpcMethod::SERVER_STREAMING, channel);
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::TracesGetResponse>> reader;
  };
  std::list<Stream> streams;
  for (int i = 0; i < 200; ++i) {
    Stream& stream = streams.emplace_back();
    stream.reader.reset(grpc::internal::ClientReaderFactory<v1::TracesGetResponse>::Create(channel.get(), method,
                                                                                           &stream.context, request));
  }
  std::this_thread::sleep_for(3s);
  std::map<grpc::StatusCode, int> codes;
  for (Stream& stream : streams) {
    for (v1::TracesGetResponse message; stream.reader->Read(&message);) {
    }
    ++codes[stream.reader->Finish().error_code()];
  }
  CHECK(codes[grpc::StatusCode::OK] == 0);
  CHECK(codes[grpc::StatusCode::CANCELLED] > 0);           // Dropped.
  CHECK(codes[grpc::StatusCode::RESOURCE_EXHAUSTED] > 0);  // There was no room for more of them.
  INFO("grew by " << peak.growth() / kMiB << " MiB");
  CHECK(peak.growth() < 500 * kMiB);  // 1,600 MiB, were all held.
}

TEST_CASE("large submissions at once are bounded, those that do not fit are told so, and nothing of them stays") {
  FakeApi api;
  const ServerPlace place;
  const auto server = started(api, place.options);
  // 63 MiB of input, as the wire has it; the same bytes for every call.
  const std::string input(63 * kMiB, ' ');
  std::string head = "\x1a";
  for (std::size_t left = input.size(); left > 0; left >>= 7)
    head += static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
  const grpc::Slice parts[] = {grpc::Slice(head), grpc::Slice(input.data(), input.size(), grpc::Slice::STATIC_SLICE)};
  const Peak peak;
  std::mutex mutex;
  std::map<grpc::StatusCode, int> codes;
  std::vector<std::thread> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back([&] {
      const auto channel = channel_to(*server);
      const grpc::internal::RpcMethod method("/weft.v1.Runs/Submit", grpc::internal::RpcMethod::NORMAL_RPC, channel);
      grpc::ClientContext context;
      const grpc::ByteBuffer request(parts, 2);
      grpc::ByteBuffer response;
      const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
          channel.get(), method, &context, request, &response);
      const std::lock_guard lock(mutex);
      ++codes[status.error_code()];
    });
  }
  for (std::thread& client : clients) client.join();
  INFO("grew by " << peak.growth() / kMiB << " MiB");
  for (const auto& [code, count] : codes) UNSCOPED_INFO("code " << code << ": " << count);
  CHECK(codes[grpc::StatusCode::OK] >= 1);
  // UNAVAILABLE: gRPC sends connections away that have no call yet where there is no room.
  CHECK(codes[grpc::StatusCode::OK] + codes[grpc::StatusCode::RESOURCE_EXHAUSTED] +
            codes[grpc::StatusCode::UNAVAILABLE] ==
        50);
  // 512 MiB that arrive, 192 that are worked on, 64 that the fake engine keeps; 3,150 MiB, were all held.
  CHECK(peak.growth() < 1'100 * kMiB);
  grpc::ClientContext context;
  v1::RunsSubmitResponse response;
  REQUIRE(v1::Runs::NewStub(channel_to(*server))->Submit(&context, {}, &response).ok());
  const bool given_back = comes_true([&] { return peak.growth_now() < 150 * kMiB; }, 20s);
  INFO("kept " << peak.growth_now() / kMiB << " MiB");
  CHECK(given_back);
}

}  // namespace weft::server
