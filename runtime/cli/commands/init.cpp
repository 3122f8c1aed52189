// `weft init`: a folder with a first workflow.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/cli/grammar/command.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWorkflow = R"(weft: 1
name: {name}
description: Greets somebody, then says it again in another language.

input:
  who: {{type: string, default: world, description: Who is greeted}}

steps:
  greet:
    prompt: "Greet {{{{ input.who }}}} in one line."

  translate:                              # waits for greet, since it mentions it
    prompt: |
      Say this in French, and nothing else:
      {{{{ steps.greet.text }}}}

returns: {{english: "{{{{ steps.greet.text }}}}", french: "{{{{ steps.translate.text }}}}"}}
)";

struct InitValues {
  std::string name = "hello";
};

Options describe(InitValues& values) {
  return {
      optional("NAME", "The folder, and the name of the workflow; hello by default", &values.name),
  };
}

// Names of workflows: [a-z][a-z0-9_-]*
bool is_name(const std::string& name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && is_letter(name.front()) && std::ranges::all_of(name, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

Result<std::string> write_folder(const fs::path& folder, const std::string& name) {
  std::error_code fault;
  if (!fs::create_directories(folder, fault)) {
    if (fault) return permission_denied(fmt::format("cannot make the folder {}: {}", folder.string(), fault.message()));
    return already_exists(fmt::format("{} is there already", folder.string()));
  }
  const fs::path file = folder / (name + ".yaml");
  std::ofstream out(file);
  out << fmt::format(kWorkflow, fmt::arg("name", name));
  out.close();
  if (!out) return internal(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
  return file.string();
}

Exit init(const Context& context, const InitValues& values) {
  const std::string name = fs::path(values.name).filename().string();
  if (!is_name(name)) {
    return fail(context, invalid_argument(fmt::format(
                             "\"{}\" cannot name a workflow: small letters, digits, _ and -, a letter first", name)));
  }
  WEFT_COMMAND_TRY(context, const std::string file, write_folder(fs::path(values.name), name));
  if (!context.terminal.is_text()) {
    Json json = Json::object();
    json["file"] = file;
    context.terminal.out_line(to_text(json));
    return Exit::kOk;
  }
  context.terminal.out_line(file);
  context.terminal.err_line("runs without an account or a key:");
  context.terminal.err_line(fmt::format("weft run {} --sim", file));
  return Exit::kOk;
}

}  // namespace

Command init_command() {
  return {"init", Group::kStart, "Make a folder with a first workflow, which runs without a key",
          [] { return bound<InitValues>(describe, init); }};
}

}  // namespace weft::cli
