use crate::status::document::*;

fn document() -> Document {
    let mut document = Document::new("2 of 3 mirrors are behind", Severity::Warning);
    document.add_section().line("214 tags, 99.1 % in time");
    let mut table = Table::new(["mirror", "lag", "reason"]);
    table.row(["kubernetes", "1h 12m", "429 | slow down"]);
    table.row(["镜像", "3h"]);
    let lines = document.add_headed("Behind <now>");
    lines.table(table);
    let line = Line::default().plain("worst: ").bold("a*b").plain(" at ");
    lines.line(line.code("quay.io/a/b_c:`v1`"));
    lines.line("- not a list\r\n<script>alert('x')</script>");
    document
}

#[test]
fn text_tables_align_wide_characters() {
    insta::assert_snapshot!(document().to_text(), @r"
    2 of 3 mirrors are behind

    214 tags, 99.1 % in time

    Behind <now>
      mirror      lag     reason
      kubernetes  1h 12m  429 | slow down
      镜像        3h
      worst: a*b at quay.io/a/b_c:`v1`
      - not a list <script>alert('x')</script>
    ");
}

#[test]
fn markdown_escapes_every_character() {
    insta::assert_snapshot!(document().to_markdown(), @r"
    # 2 of 3 mirrors are behind

    214 tags, 99.1 % in time

    ## Behind \<now\>

    | mirror | lag | reason |
    | --- | --- | --- |
    | kubernetes | 1h 12m | 429 \| slow down |
    | 镜像 | 3h |  |

    worst: **a\*b** at `` quay.io/a/b_c:`v1` ``\
    \- not a list \<script\>alert('x')\</script\>
    ");
}

#[test]
fn markdown_starts_no_list() {
    let mut document = Document::new("x", Severity::Good);
    document
        .add_section()
        .line("2024. It was a year")
        .line("12 tags");
    assert_eq!(
        document.to_markdown(),
        "# x\n\n2024\\. It was a year\\\n12 tags\n"
    );
}

#[test]
fn html_escapes_every_text() {
    insta::assert_snapshot!(document().to_html(), @r#"
    <article class="report warning">
    <h1>2 of 3 mirrors are behind</h1>
    <section>
    <p>214 tags, 99.1 % in time</p>
    </section>
    <section>
    <h2>Behind &lt;now&gt;</h2>
    <table>
    <thead>
    <tr><th>mirror</th><th>lag</th><th>reason</th></tr>
    </thead>
    <tbody>
    <tr><td>kubernetes</td><td>1h 12m</td><td>429 | slow down</td></tr>
    <tr><td>镜像</td><td>3h</td><td></td></tr>
    </tbody>
    </table>
    <p>worst: <b>a*b</b> at <code>quay.io/a/b_c:`v1`</code></p>
    <p>- not a list &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;</p>
    </section>
    </article>
    "#);
}

#[test]
fn line_has_no_line_end() {
    let mut document = Document::new("one\ntwo", Severity::Bad);
    document
        .add_headed("three\r\nfour")
        .line("five\u{2028}six\u{1b}[31m");
    assert_eq!(
        document.to_text(),
        "one two\n\nthree four\n  five six [31m\n"
    );
}
