// CLI11 is slow to compile, so it is named in this file only.
#include "runtime/cli/grammar/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/bytes.h"
#include "runtime/cli/commands/table.h"
#include "runtime/cli/grammar/help.h"
#include "workflows/diagnostic.h"

namespace weft::cli {
namespace {

// A value that CLI11 keeps as text, read after it has parsed.
struct TextValue {
  const Option* option;
  const CLI::Option* given;
  std::shared_ptr<std::string> text;
};

// Registers options of ours with CLI11.
class Registrar {
 public:
  explicit Registrar(CLI::App& app) : app_(app) {}

  // REQUIRES: `options` outlives this.
  void add_all(const Options& options) {
    for (const Option& option : options) add(option);
    for (const Option& option : options) {
      if (!option.excludes.empty()) app_.get_option(option.names)->excludes(app_.get_option(option.excludes));
    }
  }

  // Fills in the values that CLI11 kept as text; the sentence where one of them is wrong.
  std::optional<std::string> read_texts() const {
    for (const TextValue& value : texts_) {
      if (value.given->count() == 0) continue;
      if (auto* const* script = std::get_if<std::optional<std::string>*>(&value.option->destination)) {
        **script = *value.text == "true" ? "" : *value.text;
      } else if (auto fault = read_duration(*value.option, *value.text)) {
        return fault;
      }
    }
    return std::nullopt;
  }

 private:
  void add(const Option& option) {
    CLI::Option* added = std::visit([&](auto* to) { return add_typed(option, to); }, option.destination);
    if (option.required) added->required();
    if (!option.choices.empty()) added->check(CLI::IsMember(option.choices));
    if (option.range) added->check(CLI::Range(option.range->first, option.range->second));
    if (option.check && !std::holds_alternative<std::optional<Duration>*>(option.destination))
      added->check(option.check);
  }

  static std::optional<std::string> read_duration(const Option& option, const std::string& text) {
    if (text.empty()) return std::nullopt;
    const auto duration = parse_duration(text);
    if (!duration) return duration.error().message;
    const std::string refused = option.check ? option.check(text) : std::string();
    if (!refused.empty()) return fmt::format("{} {}: {}", option.names, text, refused);
    *std::get<std::optional<Duration>*>(option.destination) = *duration;
    return std::nullopt;
  }

  CLI::Option* add_typed(const Option& option, bool* to) { return app_.add_flag(option.names, *to, option.help); }
  CLI::Option* add_typed(const Option& option, std::vector<std::string>* to) {
    CLI::Option* added = app_.add_option(option.names, *to, option.help);
    if (!option.is_positional()) added->allow_extra_args(false);
    return added;
  }
  // A flag, so that the word behind it is not taken for its value; that is "true" where none came.
  CLI::Option* add_typed(const Option& option, std::optional<std::string>*) {
    auto text = std::make_shared<std::string>();
    CLI::Option* added = app_.add_flag(option.names, *text, option.help);
    texts_.push_back({&option, added, std::move(text)});
    return added;
  }
  CLI::Option* add_typed(const Option& option, std::optional<Duration>*) {
    auto text = std::make_shared<std::string>();
    CLI::Option* added = app_.add_option(option.names, *text, option.help);
    texts_.push_back({&option, added, std::move(text)});
    return added;
  }
  template <class T>
  CLI::Option* add_typed(const Option& option, T* to) {
    return app_.add_option(option.names, *to, option.help);
  }

  CLI::App& app_;
  std::vector<TextValue> texts_;
};

Answer usage(const Command* command, const std::string& sentence) {
  const std::string help =
      command == nullptr ? "weft --help lists the commands" : fmt::format("weft {} --help says more", command->name);
  return {"", fmt::format("error: {}\n{}\n", sentence, help), static_cast<int>(Exit::kUsage)};
}

const Command* command_named(std::string_view name) {
  const auto found = std::ranges::find(commands(), name, &Command::name);
  return found == commands().end() ? nullptr : &*found;
}

bool takes_next_word(const Options& options, std::string_view word) {
  return std::ranges::any_of(options,
                             [&](const Option& option) { return option.names == word && !option.value.empty(); });
}

// The command is the first word that is no option and no value of one; null where there is none. CLI11 would take a
// mistyped command for a value that nobody asked for.
std::variant<const Command*, Answer> find_command(const Options& global, int count, const char* const* arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    if (takes_next_word(global, word)) {
      ++i;
      continue;
    }
    if (word.starts_with('-')) continue;
    if (word == "help") return Answer{short_help(), "", 0};
    if (const Command* command = command_named(word)) return command;
    std::vector<std::string> names;
    for (const Command& command : commands()) names.emplace_back(command.name);
    const std::string near = workflows::nearest(word, names);
    return usage(nullptr, fmt::format("there is no command \"{}\"{}", word,
                                      near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
  }
  return nullptr;
}

}  // namespace

std::variant<Parsed, Answer> parse_arguments(int count, const char* const* arguments) {
  for (int i = 1; i < count; ++i) {
    if (!is_utf8(arguments[i]))
      return usage(nullptr, fmt::format("argument {} is not UTF-8: \"{}\"", i, printable(arguments[i])));
  }
  Parsed parsed;
  std::string format = "text";
  const Options global = global_options(parsed.global, format);
  auto found = find_command(global, count, arguments);
  if (auto* answer = std::get_if<Answer>(&found)) return std::move(*answer);
  parsed.command = std::get<const Command*>(found);

  CLI::App app("weft");
  app.set_help_flag("-h,--help", "This text");
  app.fallthrough();
  bool version = false;
  app.add_flag("--version", version);
  Registrar everywhere(app);
  everywhere.add_all(global);
  CLI::App unnamed;
  CLI::App* own = &unnamed;
  if (parsed.command != nullptr) {
    parsed.invocation = parsed.command->invoke();
    own = app.add_subcommand(std::string(parsed.command->name), std::string(parsed.command->summary));
    own->fallthrough();
  }
  Registrar registrar(*own);
  registrar.add_all(parsed.invocation.options);
  try {
    app.parse(count, arguments);
  } catch (const CLI::CallForHelp&) {
    return Answer{own->parsed() ? help_of(*parsed.command) : short_help(), "", 0};
  } catch (const CLI::ParseError& fault) {
    return usage(own->parsed() ? parsed.command : nullptr, fault.what());
  }
  if (parsed.command == nullptr && !version) return Answer{short_help(), "", 0};
  if (parsed.command == nullptr) {
    parsed.command = command_named("version");
    parsed.invocation = parsed.command->invoke();
  } else if (auto fault = registrar.read_texts()) {
    return usage(parsed.command, *fault);
  }
  parsed.global.format = format == "json" ? Format::kJson : format == "ndjson" ? Format::kNdjson : Format::kText;
  return parsed;
}

}  // namespace weft::cli
