#include "runtime/cli/grammar/parse.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "runtime/cli/commands/table.h"

namespace weft::cli {
namespace {

using Text = std::string;
using Texts = std::vector<std::string>;
using MaybeText = std::optional<std::string>;
using MaybeTime = std::optional<Duration>;

std::variant<Parsed, Answer> parsed(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "weft");
  return parse_arguments(static_cast<int>(arguments.size()), arguments.data());
}

Parsed command(const std::vector<const char*>& arguments) {
  auto result = parsed(arguments);
  if (const auto* answer = std::get_if<Answer>(&result)) FAIL(answer->err + answer->out);
  return std::get<Parsed>(std::move(result));
}

// What the option of that name got.
template <class T>
T value(const Parsed& parsed, const std::string& name) {
  const auto found = std::ranges::find_if(parsed.invocation.options, [&](const Option& option) {
    return option.names == name || option.names.ends_with("," + name);
  });
  if (found == parsed.invocation.options.end()) FAIL("there is no option " + name);
  return *std::get<T*>(found->destination);
}

Answer answer(const std::vector<const char*>& arguments) {
  auto result = parsed(arguments);
  REQUIRE(std::holds_alternative<Answer>(result));
  return std::get<Answer>(result);
}

}  // namespace

TEST_CASE("run takes inputs, labels and a request id, in any order") {
  const Parsed run = command({"run", "-i", "a=1", "flow.yaml", "--input", "b=x y", "--label", "team=a", "--priority",
                              "-3", "--request-id", "r1", "--root", "/src"});
  CHECK(run.command->name == "run");
  CHECK(value<Text>(run, "FILE") == "flow.yaml");
  CHECK(value<Texts>(run, "--input") == Texts{"a=1", "b=x y"});
  CHECK(value<Texts>(run, "--label") == Texts{"team=a"});
  CHECK(value<std::int32_t>(run, "--priority") == -3);
  CHECK(value<Text>(run, "--request-id") == "r1");
  CHECK(value<Text>(run, "--root") == "/src");
  CHECK_FALSE(value<MaybeText>(run, "--sim"));
}

TEST_CASE("--sim stands alone or names a script, and does not swallow the file") {
  CHECK(value<MaybeText>(command({"run", "--sim", "flow.yaml"}), "--sim") == "");
  CHECK(value<Text>(command({"run", "--sim", "flow.yaml"}), "FILE") == "flow.yaml");
  CHECK(value<MaybeText>(command({"run", "flow.yaml", "--sim"}), "--sim") == "");
  CHECK(value<MaybeText>(command({"run", "flow.yaml", "--sim=script.yaml"}), "--sim") == "script.yaml");
}

TEST_CASE("options that every command takes stand before or after it") {
  for (const auto& arguments : {std::vector<const char*>{"-o", "json", "runs", "--store", "a.db"},
                                std::vector<const char*>{"runs", "--store", "a.db", "-o", "json"}}) {
    const Parsed runs = command(arguments);
    CHECK(runs.command->name == "runs");
    CHECK(runs.global.format == Format::kJson);
    CHECK(runs.global.store == "a.db");
  }
}

TEST_CASE("durations are read where they are meant, and a wrong one is an error of usage") {
  CHECK(value<MaybeTime>(command({"wait", "x", "y", "--timeout", "5m"}), "--timeout") ==
        Duration(std::chrono::minutes(5)));
  CHECK(value<MaybeTime>(command({"runs", "--since", "1h"}), "--since") == Duration(std::chrono::hours(1)));
  CHECK(answer({"wait", "x", "--timeout", "soon"}).exit == 2);
  CHECK(value<MaybeTime>(command({"drain", "--wait", "10m"}), "--wait") == Duration(std::chrono::minutes(10)));
  CHECK(answer({"drain", "--wait", "11m"}).err.find("at most 10m") != std::string::npos);
}

TEST_CASE("weft alone is a short help, and so are --help and help") {
  const Answer alone = answer({});
  CHECK(alone.exit == 0);
  CHECK(alone.err.empty());
  CHECK(std::ranges::count(alone.out, '\n') < 45);
  for (const Command& command : commands()) {
    INFO(command.name);
    CHECK(alone.out.find(" " + Text(command.name) + " ") != Text::npos);
  }
  CHECK(alone.out.find("submit WORKFLOW ") != Text::npos);
  CHECK(alone.out.find("wait RUN... ") != Text::npos);
  CHECK(alone.out.find("signal RUN NAME [JSON] ") != Text::npos);
  CHECK(answer({"--help"}).out == alone.out);
  CHECK(answer({"help"}).out == alone.out);
}

TEST_CASE("the help of a command shows each option with the name of its value") {
  const Text run = answer({"run", "--help"}).out;
  CHECK(answer({"--help", "run"}).out == run);
  CHECK(run.starts_with("Usage: weft run [OPTIONS] FILE\n"));
  for (const char* part : {"  FILE ", "  -i,--input NAME=VALUE ", "  --request-id ID ", "  --sim[=SCRIPT] ",
                           "-o text|json|ndjson", "--token-file FILE"}) {
    INFO(part);
    CHECK(run.find(part) != Text::npos);
  }
  CHECK(answer({"fork", "--help"}).out.find("--effects ask|allow|refuse") != Text::npos);
  CHECK(answer({"fork", "--help"}).out.starts_with("Usage: weft fork [OPTIONS] RUN --from PATH\n"));
}

TEST_CASE("a mistyped command names the nearest") {
  const Answer mistyped = answer({"subnit", "flow.yaml"});
  CHECK(mistyped.exit == 2);
  CHECK(mistyped.out.empty());
  CHECK(mistyped.err.find("did you mean \"submit\"?") != std::string::npos);
  CHECK(mistyped.err.starts_with("error: "));
}

TEST_CASE("what is missing, unknown, empty or out of range is an error of usage") {
  CHECK(answer({"run"}).exit == 2);
  CHECK(answer({"run", "a.yaml", "b.yaml"}).exit == 2);
  CHECK(answer({"run", "a.yaml", "--nope"}).exit == 2);
  CHECK(answer({"run", "a.yaml", "--request-id", ""}).exit == 2);
  CHECK(answer({"run", "a.yaml", "--priority", "101"}).exit == 2);
  CHECK(answer({"runs", "--limit", "1001"}).exit == 2);
  CHECK(answer({"runs", "-o", "xml"}).exit == 2);
  CHECK(answer({"graph", "a.yaml", "--format", "gif"}).exit == 2);
  CHECK(answer({"run", "a.yaml", "--priority", "high"}).exit == 2);
  CHECK(answer({"schedule", "show", "x", "--times", "0"}).exit == 2);
  CHECK(answer({"db", "mend"}).exit == 2);
  CHECK(answer({"trust", "--show", "--revoke"}).exit == 2);
  CHECK(answer({"runs", "--limit"}).exit == 2);
  CHECK(answer({"fork", "r1"}).exit == 2);
  CHECK(answer({"resolve", "r1", "pay", "done"}).exit == 2);
}

TEST_CASE("each command has a name of its own, and options with names of their own that say what they are") {
  const auto is_phrase = [](std::string_view text) { return !text.empty() && text.back() != '.'; };
  Texts names;
  for (const Command& command : commands()) {
    INFO(command.name);
    CHECK(std::ranges::find(names, command.name) == names.end());
    names.emplace_back(command.name);
    CHECK(is_phrase(command.summary));
    CHECK(command.summary.size() <= 63);
    const Text help = answer({names.back().c_str(), "--help"}).out;
    CHECK(help.find(command.summary) != Text::npos);
    Texts options;
    for (const Option& option : command.invoke().options) {
      INFO(option.names);
      CHECK(std::ranges::find(options, option.names) == options.end());
      options.push_back(option.names);
      CHECK(is_phrase(option.help));
      CHECK(help.find("  " + option.names) != Text::npos);
      const bool takes_value = !option.is_positional() && !std::holds_alternative<bool*>(option.destination);
      CHECK(option.value.empty() != takes_value);
    }
  }
  CHECK(names.size() > 30);
}

TEST_CASE("every option of every command refuses what its table says that it refuses") {
  for (const Command& command : commands()) {
    const Text name(command.name);
    // What the command must be given, so that nothing else is missing.
    Texts given{name};
    for (const Option& option : command.invoke().options) {
      if (!option.required) continue;
      if (!option.is_positional()) given.push_back(option.names);
      given.push_back(option.choices.empty() ? "x" : option.choices.front());
    }
    const auto outcome = [&](const Texts& more) {
      std::vector<const char*> words;
      for (const Text& text : given) words.push_back(text.c_str());
      for (const Text& text : more) words.push_back(text.c_str());
      auto result = parsed(words);
      return std::holds_alternative<Answer>(result) ? std::get<Answer>(result).exit : 0;
    };
    INFO(name);
    CHECK(outcome({}) == 0);
    CHECK(outcome({"--no-such-option"}) == 2);
    if (given.size() > 1) CHECK(answer({name.c_str()}).exit == 2);
    for (const Option& option : command.invoke().options) {
      if (option.is_positional()) continue;
      const Text longest = option.names.substr(option.names.rfind(',') + 1);
      INFO(longest);
      if (!option.value.empty() && !std::holds_alternative<MaybeText*>(option.destination)) {
        CHECK(outcome({longest}) == 2);  // Its value is missing.
      }
      if (!option.choices.empty()) CHECK(outcome({longest, "no-such-choice"}) == 2);
      if (option.range) {
        CHECK(outcome({longest + "=" + std::to_string(option.range->first)}) == 0);
        CHECK(outcome({longest + "=" + std::to_string(option.range->second)}) == 0);
        CHECK(outcome({longest + "=" + std::to_string(option.range->first - 1)}) == 2);
        CHECK(outcome({longest + "=" + std::to_string(option.range->second + 1)}) == 2);
        CHECK(outcome({longest, "x"}) == 2);
      }
      if (std::holds_alternative<MaybeTime*>(option.destination)) {
        CHECK(outcome({longest, "5m"}) == 0);
        CHECK(outcome({longest, "soon"}) == 2);
      }
    }
  }
}

TEST_CASE("docs/cli.md lists every command, no other, and names every option") {
  std::ifstream in(Text(WEFT_SOURCE_DIR) + "/docs/cli.md");
  const Text page{std::istreambuf_iterator<char>(in), {}};
  const std::size_t table = page.find("| command | does |");
  REQUIRE(table != Text::npos);
  const std::size_t end = page.find("\n\n", table);
  Texts listed;
  for (std::size_t at = page.find("\n| ", table); at < end; at = page.find("\n| ", at + 1)) {
    const Text cell = page.substr(at + 3, page.find(" | ", at + 3) - at - 3);
    for (std::size_t name = cell.find("`weft "); name != Text::npos; name = cell.find("`weft ", name + 1)) {
      const Text word = cell.substr(name + 6, cell.find_first_of(" `", name + 6) - name - 6);
      if (std::ranges::find(listed, word) == listed.end()) listed.push_back(word);
    }
  }
  for (const Text& name : listed) {
    INFO(name);
    CHECK(std::ranges::find(commands(), name, &Command::name) != commands().end());
  }
  for (const Command& command : commands()) {
    INFO(command.name);
    CHECK(std::ranges::find(listed, command.name) != listed.end());
    for (const Option& option : command.invoke().options) {
      const Text longest = option.names.substr(option.names.rfind(',') + 1);
      INFO(longest);
      if (!option.is_positional()) CHECK(page.find(longest) != Text::npos);
    }
  }
}

}  // namespace weft::cli
