// Executors of tools: what blocks holds up nobody else, limits are kept, and a reply comes once.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/tools/file_fixture.h"
#include "tools/shared_calls.h"
#include "tools/thread_executor.h"

namespace weft::tools::test {
namespace {

// Held until it is opened; says how many are at it.
class Door {
 public:
  void pass(const Cancelled& cancelled) {
    std::unique_lock lock(mutex_);
    ++inside_;
    most_ = std::max(most_, inside_);
    changed_.notify_all();
    while (!open_ && !cancelled) changed_.wait_for(lock, std::chrono::milliseconds(1));
    --inside_;
    changed_.notify_all();
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_for(int inside) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ == inside; });
  }
  int most() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  int most_ = 0;
  bool open_ = false;
};

class DoorTool final : public Tool {
 public:
  DoorTool(std::string name, Door& door) : spec_{std::move(name), "", "{}", Effect::kRead}, door_(door) {}
  const ToolSpec& spec() const override { return spec_; }
  ToolReply run(const ToolRequest& request, const Cancelled& cancelled) override {
    door_.pass(cancelled);
    return {ToolStatus::kDone, request.arguments};
  }

 private:
  const ToolSpec spec_;
  Door& door_;
};

class NowTool final : public Tool {
 public:
  const ToolSpec& spec() const override { return spec_; }
  ToolReply run(const ToolRequest&, const Cancelled&) override { return {ToolStatus::kDone, "1"}; }
  bool is_instant() const override { return true; }

 private:
  const ToolSpec spec_{"now", "", "{}", Effect::kPure};
};

const auto kNoSecrets = [] { return std::make_shared<const SecretMask>(std::vector<Secret>{}); };

ToolRequest request(std::string tool, std::string arguments = "{}") {
  return {std::move(tool), std::move(arguments), "k"};
}

// Turns the loop until `done`.
void turn_until(Loop& loop, const std::function<bool()>& done) {
  std::function<void()> look = [&] {
    if (done()) return loop.stop();
    loop.after(std::chrono::milliseconds(1), look);
  };
  loop.post(look);
  loop.run();
}

struct Tools {
  Door door;
  Door other;
  Toolbox box;
  Tools() {
    box.add(std::make_unique<DoorTool>("slow", door));
    box.add(std::make_unique<DoorTool>("other", other));
    box.add(std::make_unique<NowTool>());
  }
};

TEST_CASE("a tool that blocks holds up no other tool") {
  const Files files;
  files.write("a.txt", "x");
  Tools tools;
  REQUIRE(add_file_tools(tools.box, files.root().string()));
  Loop loop;
  ToolThreads threads({.tool_threads_max = 16, .threads_per_tool_max = 8});
  ThreadExecutor executor(tools.box, threads, loop, kNoSecrets);
  int slow = 0;
  for (int i = 0; i < 40; ++i) executor.start(request("slow"), [&](const ToolReply&) { ++slow; });
  tools.door.wait_for(8);

  std::optional<ToolReply> read;
  executor.start(request("fs.read", R"({"path":"a.txt"})"), [&](ToolReply reply) { read = std::move(reply); });
  turn_until(loop, [&] { return read.has_value(); });
  CHECK(read->status == ToolStatus::kDone);
  CHECK(slow == 0);
  tools.door.open();
  turn_until(loop, [&] { return slow == 40; });
  CHECK(tools.door.most() == 8);
}

TEST_CASE("the limit of threads is held, and what is over it waits in the order of coming") {
  Tools tools;
  Loop loop;
  ToolThreads threads({.tool_threads_max = 2, .threads_per_tool_max = 2});
  ThreadExecutor executor(tools.box, threads, loop, kNoSecrets);
  std::vector<std::string> order;
  for (const char* tool : {"slow", "slow", "slow", "other"})
    executor.start(request(tool), [&, tool](const ToolReply&) { order.emplace_back(tool); });
  tools.door.wait_for(2);
  CHECK(threads.started() == 2);
  tools.other.open();
  tools.door.open();
  turn_until(loop, [&] { return order.size() == 4; });
  CHECK(tools.door.most() == 2);
  CHECK(threads.started() == 2);
}

TEST_CASE("a cancelled call is told nothing, and one that has not begun never begins") {
  Tools tools;
  Loop loop;
  ToolThreads threads({.tool_threads_max = 1, .threads_per_tool_max = 1});
  ThreadExecutor executor(tools.box, threads, loop, kNoSecrets);
  bool told = false;
  const auto first = executor.start(request("slow"), [&](const ToolReply&) { told = true; });
  const auto second = executor.start(request("other"), [&](const ToolReply&) { told = true; });
  tools.door.wait_for(1);
  executor.cancel(second);
  executor.cancel(first);  // It sees it, and lets the thread go.
  executor.cancel(first);
  executor.cancel(0);
  tools.door.open();
  bool last = false;
  executor.start(request("slow"), [&](const ToolReply&) { last = true; });
  turn_until(loop, [&] { return last; });
  CHECK_FALSE(told);
  CHECK(tools.other.most() == 0);
}

TEST_CASE("whether a call may leave is asked when it leaves") {
  Tools tools;
  Loop loop;
  ToolThreads threads({.tool_threads_max = 1, .threads_per_tool_max = 1});
  ThreadExecutor executor(tools.box, threads, loop, kNoSecrets);
  std::atomic<bool> owns = true;
  std::vector<ToolStatus> told;
  for (const char* tool : {"slow", "other"}) {
    ToolRequest asked = request(tool);
    asked.may_leave = [&] { return owns.load(); };
    executor.start(std::move(asked), [&](const ToolReply& reply) { told.push_back(reply.status); });
  }
  tools.door.wait_for(1);
  owns = false;  // The second waits for the thread meanwhile.
  tools.door.open();
  turn_until(loop, [&] { return told.size() == 2; });
  CHECK(told == std::vector{ToolStatus::kDone, ToolStatus::kFailed});
  CHECK(tools.other.most() == 0);
}

TEST_CASE("an instant tool is answered before start returns, and none that is not offered leaves") {
  Tools tools;
  Loop loop;
  ToolThreads threads({});
  ThreadExecutor executor(tools.box, threads, loop, kNoSecrets);
  std::vector<ToolStatus> told;
  CHECK(executor.start(request("now"), [&](const ToolReply& reply) { told.push_back(reply.status); }) == 0);
  CHECK(executor.start(request("gone"), [&](const ToolReply& reply) { told.push_back(reply.status); }) == 0);
  CHECK(told == std::vector{ToolStatus::kDone, ToolStatus::kFailed});
  CHECK(threads.started() == 0);
  CHECK(executor.place_of("now", nullptr) == Place::kHere);
  CHECK(executor.place_of("slow", nullptr) == Place::kThread);
  CHECK(executor.place_of("gone", nullptr) == Place::kNowhere);
}

TEST_CASE("an executor that ends tells nobody, and what is at work notices it") {
  Tools tools;
  Loop loop;
  ToolThreads threads({.tool_threads_max = 1, .threads_per_tool_max = 1});
  bool told = false;
  {
    ThreadExecutor executor(tools.box, threads, loop, kNoSecrets);
    executor.start(request("slow"), [&](const ToolReply&) { told = true; });
    tools.door.wait_for(1);
  }
  tools.door.wait_for(0);
  CHECK_FALSE(told);
}

// Answers when it is told to.
class HeldExecutor final : public Executor {
 public:
  Place place_of(std::string_view, const workflows::Tool*) const override { return Place::kRemote; }
  Handle start(ToolRequest request, OnReply on_reply) override {
    started.push_back(std::move(request));
    replies.push_back(std::move(on_reply));
    return replies.size();
  }
  void cancel(Handle call) override { cancelled.push_back(call); }

  std::vector<ToolRequest> started;
  std::vector<OnReply> replies;
  std::vector<Handle> cancelled;
};

TEST_CASE("equal calls at one time are one, and each that asked is told") {
  HeldExecutor inner;
  SharedCalls shared(inner);
  std::vector<std::string> told;
  const auto ask = [&](const std::string& name, std::string share) {
    ToolRequest asked = request("t");
    asked.share = std::move(share);
    return shared.start(std::move(asked),
                        [&told, name](const ToolReply& reply) { told.push_back(name + reply.output); });
  };
  const auto first = ask("a", "w/t:{}");
  ask("b", "w/t:{}");
  ask("c", "w/t:{1}");
  const auto own = ask("d", "");
  ask("e", "");
  CHECK(inner.started.size() == 4);
  shared.cancel(first);  // It goes on for the other.
  CHECK(inner.cancelled.empty());
  shared.cancel(own);
  CHECK(inner.cancelled == std::vector<Executor::Handle>{3});
  inner.replies[0]({ToolStatus::kDone, "1"});
  inner.replies[1]({ToolStatus::kDone, "2"});
  inner.replies[3]({ToolStatus::kDone, "3"});
  CHECK(told == std::vector<std::string>{"b1", "c2", "e3"});
  ask("f", "w/t:{}");  // That one is over.
  CHECK(inner.started.size() == 5);
}

}  // namespace
}  // namespace weft::tools::test
