#include "runtime/cli/render/graph_view.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "workflows/loader.h"

namespace weft::cli {
namespace {

std::shared_ptr<const workflows::Workflow> workflow() {
  workflows::Bundle bundle;
  bundle.file = "flow.yaml";
  bundle.text = R"(
weft: 1
name: triage
input: {kind: {enum: [bug, question]}}
steps:
  route:
    switch: input.kind
    cases: {bug: fix, question: reply}
  fix: {set: 1}
  reply:
    when: input.kind != "bug"
    steps:
      draft: {set: 2}
      polish: {set: "{{ steps.draft.output }}"}
)";
  auto loaded = workflows::load(bundle, {});
  for (const auto& diagnostic : loaded.diagnostics) UNSCOPED_INFO(workflows::to_text(diagnostic));
  REQUIRE(loaded.workflow);
  return loaded.workflow;
}

std::optional<v1::StepStatus> nothing(const std::string&) { return std::nullopt; }

}  // namespace

TEST_CASE("a workflow is drawn as a tree with what each step waits for") {
  CHECK(graph_tree(*workflow(), nothing, {true, false, 120}) ==
        "triage\n"
        "├─ route  switch  (bug → fix; question → reply)\n"
        "├─ fix  set  after route\n"
        "└─ reply  group  when input.kind != \"bug\"  after route\n"
        "   ├─ draft  set\n"
        "   └─ polish  set  after draft\n");
}

TEST_CASE("the same graph for Mermaid and Graphviz has an arrow for each case") {
  const std::string mermaid = graph_mermaid(*workflow(), nothing);
  CHECK(mermaid ==
        "graph TD\n"
        "  s0{\"route<br/>switch\"}\n"
        "  s1[\"fix<br/>set\"]\n"
        "  subgraph s2[\"reply\"]\n"
        "    s3[\"draft<br/>set\"]\n"
        "    s4[\"polish<br/>set\"]\n"
        "  end\n"
        "  s0 -->|\"bug\"| s1\n"
        "  s0 -->|\"question\"| s2\n"
        "  s3 --> s4\n");
  const std::string dot = graph_dot(*workflow(), nothing);
  CHECK(dot.find("s0 -> s2 [label=\"question\"];") != std::string::npos);
  CHECK(dot.find("subgraph cluster_s2 {") != std::string::npos);
}

TEST_CASE("as SVG every step is a box within the picture, and layers follow the arrows") {
  const auto graph = workflow();
  const std::string svg = graph_svg(*graph, nothing);
  REQUIRE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(svg.ends_with("</svg>\n"));
  const auto number = [&](std::string_view tag, std::size_t from, std::string_view attribute) {
    const std::size_t at = svg.find(std::string(attribute) + "=\"", svg.find(tag, from));
    return std::strtod(svg.c_str() + at + attribute.size() + 2, nullptr);
  };
  const double width = number("<svg", 0, "width");
  const double height = number("<svg", 0, "height");
  std::vector<double> tops;
  std::size_t at = svg.find("<rect x=");
  for (; at != std::string::npos; at = svg.find("<rect x=", at + 1)) {
    tops.push_back(number("<rect", at, "y"));
    CHECK(number("<rect", at, "x") >= 0);
    CHECK(number("<rect", at, "x") + number("<rect", at, "width") <= width);
    CHECK(tops.back() + number("<rect", at, "height") <= height);
  }
  REQUIRE(tops.size() == graph->steps.size());
  CHECK(tops[1] == tops[2]);  // fix and reply, both after route,
  CHECK(tops[0] < tops[1]);
  CHECK(tops[2] < tops[3]);  // draft in reply,
  CHECK(tops[3] < tops[4]);  // polish after draft.
  CHECK(svg.find(">question</text>") != std::string::npos);
}

TEST_CASE("a run's graph shows how its steps ended, inner ones by their path") {
  const StatusOf status = [](const std::string& path) -> std::optional<v1::StepStatus> {
    if (path == "reply/draft") return v1::STEP_STATUS_FAILED;
    return std::nullopt;
  };
  CHECK(graph_tree(*workflow(), status, {false, false, 120}).find("|- draft  set  failed") != std::string::npos);
  CHECK(graph_mermaid(*workflow(), status).find("style s3 fill:#ffcdd2") != std::string::npos);
  CHECK(graph_json(*workflow(), status)["steps"][3]["status"] == "failed");
}

TEST_CASE("a picture of many steps in the reverse order of the file is drawn in a moment") {
  workflows::Bundle bundle;
  bundle.file = "long.yaml";
  bundle.text = "weft: 1\nname: long\nsteps:\n";
  constexpr int kSteps = 2'000;
  for (int i = 0; i < kSteps; ++i) {
    bundle.text += "  s" + std::to_string(i) + ": {set: 1";
    if (i + 1 < kSteps) bundle.text += ", needs: [s" + std::to_string(i + 1) + "]";
    bundle.text += "}\n";
  }
  const auto loaded = workflows::load(bundle, {});
  REQUIRE(loaded.workflow);
  const std::clock_t begin = std::clock();
  const std::string picture = graph_svg(*loaded.workflow, nothing);
  CHECK(std::clock() - begin < CLOCKS_PER_SEC);
  // One below the other: the last of the file is the highest.
  const auto height_of = [&](int step) {
    const std::size_t name = picture.find(">s" + std::to_string(step) + "<");
    REQUIRE(name != std::string::npos);
    return std::stod(picture.substr(picture.rfind("y=\"", name) + 3));
  };
  CHECK(height_of(kSteps - 1) < height_of(kSteps - 2));
  CHECK(height_of(1) < height_of(0));
}

}  // namespace weft::cli
