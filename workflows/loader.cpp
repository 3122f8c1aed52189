#include "workflows/loader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

constexpr std::int64_t kLanguage = 1;

bool is_workflow_name(std::string name) {
  std::ranges::replace(name, '-', '_');
  return is_name(name);
}

// A newer language than this one: what else the file says cannot be judged.
bool check_version(Draft& draft, const yaml::Node& top) {
  const yaml::Node* weft = top.get("weft");
  if (!weft) {
    draft.diagnostics.error(top.mark, "missing-key", "the file does not say which version of the language it is in",
                            fmt::format("begin it with weft: {}", kLanguage));
    return true;
  }
  const auto version = weft->as_integer();
  if (version == kLanguage) return true;
  if (version && *version > kLanguage) {
    draft.diagnostics.error(weft->mark, "version",
                            fmt::format("the file is in version {} of the language, and this program knows version {}",
                                        *version, kLanguage),
                            "use a newer weft");
    return false;
  }
  draft.diagnostics.error(weft->mark, "version", "weft must be the version of the language, a number",
                          fmt::format("write weft: {}", kLanguage));
  return true;
}

void read_name(Draft& draft, const yaml::Node& top) {
  const yaml::Node* node = top.get("name");
  if (!node) {
    draft.diagnostics.error(top.mark, "missing-key", "the workflow has no name", "write name: NAME");
    return;
  }
  const auto name = read_text(draft.diagnostics, *node, "name");
  if (!name) return;
  draft.workflow->name = *name;
  if (is_workflow_name(*name)) return;
  check_name(draft.diagnostics, node->mark, "a workflow", *name, "a-z, 0-9, _ and -");
}

void read_all(Draft& draft, const yaml::Node& top) {
  read_name(draft, top);
  if (const yaml::Node* description = top.get("description")) {
    draft.workflow->description = read_text(draft.diagnostics, *description, "description").value_or("");
  }
  if (const yaml::Node* deadline = top.get("deadline")) {
    draft.workflow->deadline = read_duration(draft.diagnostics, *deadline, "deadline");
  }
  read_inputs(draft, top);
  read_schedule(draft, top);
  read_models(draft, top);
  read_context(draft, top);
  read_tools(draft, top);
  read_defaults(draft, top);
  read_agents(draft, top);
  read_steps(draft, top);
  refuse_later(draft.diagnostics, top, {"budget", "use"});
  yaml::refuse_unused(top, "a workflow",
                      {"weft", "name", "description", "input", "deadline", "on", "models", "context", "tools", "agents",
                       "defaults", "steps", "finally", "returns"},
                      draft.diagnostics);
}

bool check_bundle(Draft& draft) {
  std::size_t bytes = draft.bundle.text.size();
  std::size_t largest = 0;
  for (const BundleFile& file : draft.bundle.files) {
    bytes += file.content.size();
    largest = std::max(largest, file.content.size());
  }
  if (draft.bundle.files.size() > kBundleFilesMax) {
    draft.diagnostics.error({}, "limit", fmt::format("a workflow names at most {} files", kBundleFilesMax));
  } else if (largest > kBundleFileBytesMax || bytes > kBundleBytesMax) {
    draft.diagnostics.error({}, "limit",
                            fmt::format("a file that a workflow names has at most {} bytes, and all together {}",
                                        kBundleFileBytesMax, kBundleBytesMax));
  } else {
    return true;
  }
  return false;
}

void write_canonical(Draft& draft) {
  Workflow& workflow = *draft.workflow;
  workflow.canonical = canonical(*draft.root);
  if (workflow.canonical.size() > yaml::Limits().bytes_max) {
    draft.diagnostics.error(
        {}, "limit",
        fmt::format("the workflow has {} bytes with its aliases written out; {} are the most it may have",
                    workflow.canonical.size(), yaml::Limits().bytes_max));
    return;
  }
  Sha256 hash;
  hash.update(workflow.canonical);
  for (const auto& [path, content] : draft.files) {
    // Neither can hold a zero byte, so no two lists of files give the same bytes.
    hash.update(std::string_view("\0", 1));
    hash.update(path);
    hash.update(std::string_view("\0", 1));
    hash.update(view(sha256(content)));
  }
  workflow.hash = to_hex(view(hash.finish()));
}

void load_draft(Draft& draft) {
  if (!check_bundle(draft)) return;
  draft.root = yaml::read_faulty(draft.bundle.text, draft.diagnostics).root;
  if (!draft.root) return;
  if (!draft.root->is_map()) {
    expected(draft.diagnostics, *draft.root, "a workflow", "a map that begins with weft: 1");
    return;
  }
  if (!check_version(draft, *draft.root)) return;
  read_all(draft, *draft.root);
  resolve_graph(draft);
  check_types(draft);
  check_world(draft);
  check_tools(draft);
  check_texts(draft);
  if (draft.diagnostics.work().over()) {
    draft.diagnostics.error({}, "limit",
                            fmt::format("checking the workflow takes more than {} units of work (check_work_max)",
                                        Diagnostics::kCheckWorkMax),
                            "fewer or smaller steps, types, switches and patterns take less");
  }
  if (!draft.diagnostics.has_errors()) write_canonical(draft);
}

}  // namespace

Loaded load(const Bundle& bundle, const World& world) {
  Diagnostics diagnostics(bundle.file);
  Draft draft(bundle, world, diagnostics);
  load_draft(draft);
  Loaded loaded{nullptr, diagnostics.take()};
  bool is_refused = diagnostics.has_errors();
  for (Diagnostic& diagnostic : loaded.diagnostics) {
    if (world.strict) diagnostic.severity = Severity::kError;
    is_refused = is_refused || diagnostic.severity == Severity::kError;
  }
  if (!is_refused) loaded.workflow = draft.workflow;
  return loaded;
}

namespace {

void collect_agent_files(const yaml::Node* agent, std::vector<std::string>& paths) {
  if (!agent || !agent->is_map()) return;
  collect_files(agent->get("context"), paths);
  collect_files(agent->get("system"), paths);
}

void collect_step_files(const yaml::Node* steps, std::vector<std::string>& paths) {
  if (!steps) return;
  for (const auto& step : steps->members) {
    collect_agent_files(step.value.get(), paths);
    collect_step_files(step.value->get("steps"), paths);
    collect_step_files(step.value->get("finally"), paths);
  }
}

}  // namespace

std::vector<std::string> files_named(const std::string& text) {
  Diagnostics unheard("");
  const yaml::NodePtr root = yaml::read_faulty(text, unheard).root;
  std::vector<std::string> paths;
  if (!root) return paths;
  collect_agent_files(root.get(), paths);
  collect_agent_files(root->get("defaults"), paths);
  if (const yaml::Node* agents = root->get("agents")) {
    for (const auto& agent : agents->members) collect_agent_files(agent.value.get(), paths);
  }
  collect_step_files(root->get("steps"), paths);
  collect_step_files(root->get("finally"), paths);
  std::ranges::sort(paths);
  const auto repeated = std::ranges::unique(paths);
  paths.erase(repeated.begin(), repeated.end());
  return paths;
}

}  // namespace weft::workflows
