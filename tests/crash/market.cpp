#include "tests/crash/market.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "weft/v1/admin.grpc.pb.h"
#include "workflows/diagnostic.h"

namespace weft::crash {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto kPatience = 60s;  // For one order, whatever happens to the server.

// Two turns of an agent that pays, and texts that stream for some tens of milliseconds.
constexpr const char* kScript = R"yaml(
sim: 1
cache: {delay: 0s}
rules:
  - when: {user: "^Act for (?P<order>\\S+)", turn: 1}
    reply: {calls: [{tool: idempotent, args: {order: "{{ captures.order }}"}}]}
  - reply: {text: "one two three four", tokens_per_second: 150}
)yaml";

constexpr const char* kTools = R"yaml(
tools:
  books: {effect: read, input: {path: string, order: string}, http: {get: "URL/books/{{ args.path }}/{{ args.order }}"}}
  look: {effect: read, input: {order: string}, http: {get: "URL/look/{{ args.order }}", timeout: TIMEOUT}}
  write: {effect: write, input: {order: string}, http: {post: "URL/write", json: "{{ args }}", timeout: TIMEOUT}}
  verify:
    effect: write
    input: {order: string}
    verify: {tool: books, args: {path: verify, order: "{{ args.order }}"}}
    http: {post: "URL/verify", json: "{{ args }}", timeout: TIMEOUT}
  idempotent:
    effect: idempotent
    input: {order: string}
    http: {post: "URL/idempotent", json: "{{ args }}", idempotency_key: "{{ call.key }}", timeout: TIMEOUT}
  retry:
    effect: write
    on_doubt: retry
    input: {order: string}
    http: {post: "URL/retry", json: "{{ args }}", idempotency_key: "{{ call.key }}", timeout: TIMEOUT}
  skip: {effect: write, on_doubt: skip, input: {order: string}, http: {post: "URL/skip", json: "{{ args }}", timeout: TIMEOUT}}
  charge: {effect: write, undo: uncharge, input: {order: string}, http: {post: "URL/charge", json: "{{ args }}", timeout: TIMEOUT}}
  uncharge:
    effect: idempotent
    input: {order: string}
    http: {post: "URL/uncharge", json: "{{ args }}", idempotency_key: "{{ call.key }}", timeout: TIMEOUT}
  deny: {effect: write, input: {order: string}, http: {post: "URL/deny", json: "{{ args }}", timeout: TIMEOUT}}
)yaml";

struct Text {
  const char* name;   // Of the kind, of its workflow, and of the tool that it pays with.
  const char* steps;  // Empty: plans, looks, pays, and tells.
};

constexpr Text kTexts[kKinds] = {
    {"write", ""},
    {"verify", ""},
    {"idempotent", ""},
    {"retry", ""},
    {"skip", ""},
    {"undo", R"yaml(
  charge: {tool: charge, args: {order: "{{ input.order }}"}, retry: RETRY, needs: []}
  deny: {tool: deny, args: {order: "{{ input.order }}"}, needs: [charge]}
)yaml"},
    {"agent", R"yaml(
  act: {prompt: "Act for {{ input.order }}", tools: [idempotent], needs: []}
  tell: {prompt: "Tell {{ input.order }}", needs: [act]}
)yaml"},
    {"cancelled", R"yaml(
  pay: {tool: write, args: {order: "{{ input.order }}"}, retry: RETRY, needs: []}
  pause: {wait: 1h, needs: [pay]}
)yaml"},
    {"people", R"yaml(
  check: {ask: "Send {{ input.order }}?", choices: [send, hold]}
  paid: {wait: {signal: paid}, needs: [check]}
  rest: {wait: 30ms, needs: [paid]}
returns: "{{ steps.check.output }} {{ steps.paid.output }}"
)yaml"},
    {"look", R"yaml(
  look: {tool: look, args: {order: "{{ input.order }}"}}
returns: "{{ steps.look.output.seen }}"
)yaml"},
    {"chaff", R"yaml(
  keep: {set: "{{ input.order }}"}
)yaml"},
};

const char* name_of(Kind kind) { return kTexts[static_cast<int>(kind)].name; }

// What stands still before its request has left has done nothing when it goes on, too late: it is tried again.
std::string workflow_text(const Text& text, const std::string& url) {
  std::string steps = text.steps;
  if (steps.empty()) {
    steps = fmt::format(R"yaml(
  plan: {{prompt: "Plan {{{{ input.order }}}}"}}
  look: {{tool: look, args: {{order: "{{{{ input.order }}}}"}}, needs: [plan]}}
  pay: {{tool: {}, args: {{order: "{{{{ input.order }}}}"}}, retry: RETRY, needs: [look]}}
  tell: {{prompt: "Tell {{{{ input.order }}}}", needs: [pay]}}
)yaml",
                        text.name);
  }
  std::string yaml = fmt::format("weft: 1\nname: {}\ninput: {{order: string}}\n{}steps:{}", text.name, kTools, steps);
  const std::pair<std::string, std::string> all[] = {
      {"URL", url}, {"TIMEOUT", "500ms"}, {"RETRY", "{attempts: 5, backoff: 10ms..50ms}"}};
  for (const auto& [what, instead] : all) {
    for (std::size_t at = yaml.find(what); at != std::string::npos; at = yaml.find(what, at + instead.size()))
      yaml.replace(at, what.size(), instead);
  }
  return yaml;
}

// A server that is not there, stands still, or is about to leave.
bool is_away(grpc::StatusCode code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::DEADLINE_EXCEEDED ||
         code == grpc::StatusCode::CANCELLED || code == grpc::StatusCode::UNKNOWN;
}

}  // namespace

Market::Market(const Folder& folder) : folder_(folder) {
  shop_ = std::make_unique<test::Shop>([this](const test::Shop::Request& request) { return serve(request); });
  workflows::Diagnostics diagnostics("script");
  const auto script = sim::Script::read(kScript, diagnostics);
  REQUIRE(script);
  sim::ProviderOptions options;
  options.log_path = folder / "provider.log";
  auto started = sim::Provider::start(script, options);
  REQUIRE(started);
  provider_ = *std::move(started);
  for (const Text& text : kTexts) folder.write(std::string(text.name) + ".yaml", workflow_text(text, shop_->url()));
  // The server's runs may go on for so long after SIGTERM; those that wait for people never end by themselves.
  folder.write("weft.yaml", "limits: {drain: 200ms, runs_at_work_max: 6}\n");
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  channel_ =
      grpc::CreateCustomChannel("unix:" + (folder / ".weft/weft.sock"), grpc::InsecureChannelCredentials(), arguments);
}

std::vector<std::string> Market::workflow_files() {
  std::vector<std::string> files;
  for (const Text& text : kTexts) files.push_back(std::string(text.name) + ".yaml");
  return files;
}

// A payment acts, unless the shop knows its key; `deny` is refused. Where answers are lost, the connection is closed
// instead of the first one, before or after the effect.
test::Shop::Answer Market::serve(const test::Shop::Request& request) {
  const std::size_t slash = request.path.rfind('/');
  const std::string last = request.path.substr(slash + 1);
  const std::lock_guard lock(mutex_);
  if (request.path.starts_with("/look/")) return {200, R"({"seen": ")" + last + "\"}"};
  if (request.method == "GET") {  // /books/PATH/ORDER
    const auto& of_path = acts_[request.path.substr(6, slash - 6)];
    return of_path.contains(last) ? test::Shop::Answer{200, R"({"paid": true})"} : test::Shop::Answer{404, "none"};
  }
  const auto body = parse_untrusted(request.body);
  const std::string order = body ? (*body)["order"].get<std::string>() : "";
  const bool loses = loses_ && lost_once_.insert(request.path + " " + order).second;
  const bool before = loses && order.size() % 2 == 0;
  if (request.path == "/deny") return {.status = 400, .body = "no", .silent = loses};
  const bool known = !request.key.empty() && keys_.contains(request.key);
  if (!before && !known) {
    ++acts_[request.path][order];
    if (!request.key.empty()) keys_.insert(request.key);
  }
  return {.status = 200, .body = R"({"paid": true})", .silent = loses};
}

int Market::acts(const std::string& path, const std::string& order) const {
  const std::lock_guard lock(mutex_);
  const auto of_path = acts_.find(path);
  if (of_path == acts_.end()) return 0;
  const auto found = of_path->second.find(order);
  return found == of_path->second.end() ? 0 : found->second;
}

void Market::wait_until_quiet() const {
  while (!shop_->is_quiet()) std::this_thread::sleep_for(1ms);
}

bool Market::wait_until_acknowledged(int count) const {
  const auto until = Steady::now() + kPatience;
  while (acknowledged_ < count && Steady::now() < until) std::this_thread::sleep_for(500us);
  return acknowledged_ >= count;
}

void Market::open(int round) {
  acknowledged_ = 0;
  orders_.clear();
  for (int kind = 0; kind < kKinds; ++kind) {
    Order order;
    order.kind = static_cast<Kind>(kind);
    order.name = fmt::format("{}-{}", name_of(order.kind), round);
    orders_.push_back(std::move(order));
  }
  for (Order& order : orders_) clients_.emplace_back([this, &order] { serve_order(order); });
}

std::vector<Order> Market::close() {
  for (std::thread& client : clients_) client.join();
  clients_.clear();
  return orders_;
}

template <class Request, class Response>
bool Market::ask(Order& order, grpc::Status (v1::Runs::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                 const Request& request, Response& response, std::set<grpc::StatusCode> also) {
  const auto until = Steady::now() + kPatience;
  const auto stub = v1::Runs::NewStub(channel_);
  grpc::Status status;
  while (Steady::now() < until) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 1s);
    context.set_wait_for_ready(true);
    response.Clear();
    status = ((*stub).*method)(&context, request, &response);
    if (status.ok()) return true;
    if (also.contains(status.error_code())) {
      std::this_thread::sleep_for(5ms);
      continue;
    }
    if (!is_away(status.error_code())) break;
    std::this_thread::sleep_for(2ms);
  }
  order.fault = fmt::format("{}: {} (code {})", Request::descriptor()->name(), status.error_message(),
                            static_cast<int>(status.error_code()));
  return false;
}

void Market::serve_order(Order& order) {
  v1::RunsSubmitRequest submit;
  submit.set_workflow(name_of(order.kind));
  const std::string text = order.kind == Kind::kChaff ? order.name + std::string(60'000, 'x') : order.name;
  submit.set_input_json(to_text(Json{{"order", text}}));
  submit.set_request_id(order.name);
  v1::RunsSubmitResponse submitted;
  if (!ask(order, &v1::Runs::Stub::Submit, submit, submitted)) return;
  order.run_id = submitted.run_id();
  ++acknowledged_;
  if (order.kind == Kind::kPeople) {
    v1::RunsAnswerRequest answer;
    answer.set_run_id(order.run_id);
    answer.set_path("check");
    answer.set_value_json("\"send\"");
    v1::RunsAnswerResponse answered;
    if (!ask(order, &v1::Runs::Stub::Answer, answer, answered, {grpc::StatusCode::NOT_FOUND})) return;
    order.answered = true;
    v1::RunsSignalRequest signal;
    signal.set_run_id(order.run_id);
    signal.set_name("paid");
    signal.set_signal_id(order.name);
    signal.set_payload_json("\"" + order.name + "\"");
    v1::RunsSignalResponse signalled;
    if (!ask(order, &v1::Runs::Stub::Signal, signal, signalled)) return;
    order.signalled = true;
  }
  if (order.kind == Kind::kCancelled) {
    v1::RunsCancelRequest cancel;
    cancel.set_run_id(order.run_id);
    v1::RunsCancelResponse cancelled;
    if (!ask(order, &v1::Runs::Stub::Cancel, cancel, cancelled)) return;
    order.cancelled = true;
  }
  if (order.kind == Kind::kChaff) return;  // It may be pruned as soon as it has ended.
  const std::string still = wait_to_end(order);
  if (order.fault.empty()) order.fault = still;
}

// Until the run has ended; what is in doubt meanwhile is looked up in the shop's books. A sentence where it does not
// end.
std::string Market::wait_to_end(Order& order) {
  const auto until = Steady::now() + kPatience;
  v1::Run run;
  while (Steady::now() < until) {
    v1::RunsWaitRequest wait;
    wait.set_run_id(order.run_id);
    wait.set_timeout_ms(300);
    v1::RunsWaitResponse waited;
    if (!ask(order, &v1::Runs::Stub::Wait, wait, waited)) return order.fault;
    run = waited.run();
    if (run.ended_at_us() != 0) return "";
    if (run.status() == v1::RUN_STATUS_IN_DOUBT) resolve(order, run);
  }
  return "the run does not end: " + run.ShortDebugString();
}

void Market::resolve(Order& order, const v1::Run& run) {
  for (const v1::Doubt& doubt : run.doubts()) {
    const bool done = acts("/" + doubt.tool(), order.name) > 0;
    v1::RunsResolveRequest request;
    request.set_run_id(order.run_id);
    request.set_path(doubt.path());
    request.set_reason("it stands in the shop's books, or does not");
    request.set_resolution(done                             ? v1::RESOLUTION_DONE
                           : order.kind == Kind::kCancelled ? v1::RESOLUTION_SKIP
                                                            : v1::RESOLUTION_RETRY);
    if (done) request.set_output_json(R"({"paid": true})");
    if (request.resolution() == v1::RESOLUTION_RETRY) request.set_new_key(true);
    v1::RunsResolveResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 1s);
    // Where nobody answers, or something else has settled it meanwhile, the next look tells.
    if (v1::Runs::NewStub(channel_)->Resolve(&context, request, &response).ok()) ++order.resolved;
  }
}

void Market::back_up(const std::string& to) {
  v1::AdminBackupRequest request;
  request.set_path(to);
  v1::AdminBackupResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 2s);
  (void)v1::Admin::NewStub(channel_)->Backup(&context, request, &response);
}

void Market::prune_chaff() {
  v1::AdminPruneRequest request;
  request.set_workflow("chaff");
  request.set_older_than_us(0);
  v1::AdminPruneResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 2s);
  (void)v1::Admin::NewStub(channel_)->Prune(&context, request, &response);
}

}  // namespace weft::crash
