// Properties of the arbiters: nobody who asks is passed over by more than COUNT - 1 choices of others.
//
// Contract: sections 1.7 (cyclic order), 8.1 (the one that waits longest). Blocks: rtl/arbiter.sv, rtl/oldest.sv.
//
// Unbounded (induction), for 1 to 5 things in cyclic order and 1 to 4 in order of age.
// Assumed: who asks goes on asking until it is chosen; the one that asks does so in all cycles, or all are held up at once (`open_i`).
// Not proved: that somebody is ever chosen; that is what the callers do with it.

// The cyclic order. Beside each requester the choices of others are counted since it began to ask.
module arbiter_fair #(
    parameter int unsigned COUNT = 3
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [COUNT-1:0] wants_i,
    input logic             open_i
);
  localparam int unsigned Width = COUNT > 1 ? $clog2(COUNT) : 1;

  logic             valid;
  logic [Width-1:0] index;

  arbiter #(.COUNT(COUNT)) u_arbiter (
      .clk_i, .rst_ni, .request_i(open_i ? wants_i : '0), .take_i(valid), .valid_o(valid), .index_o(index)
  );

  logic             started_q = 1'b0;
  logic [COUNT-1:0] waits_q;
  logic [7:0]       others_q[COUNT];

  always_ff @(posedge clk_i) begin : count
    started_q <= 1'b1;
    for (int unsigned i = 0; i < COUNT; i++) begin
      if (!rst_ni || !wants_i[i] || (valid && 32'(index) == i)) begin
        waits_q[i] <= 1'b0;
        others_q[i] <= '0;
      end else begin
        waits_q[i] <= 1'b1;
        if (valid) others_q[i] <= others_q[i] + 8'd1;
      end
    end
  end

  always_comb begin : properties
    assume (started_q || !rst_ni);
    if (started_q && rst_ni) begin
      somebody_is_chosen_exactly_when_somebody_asks : assert (valid == (open_i && wants_i != '0));
      the_one_that_is_chosen_asks : assert (!valid || (32'(index) < COUNT && wants_i[index]));
    end
  end

  for (genvar i = 0; i < COUNT; i++) begin : gen_requester
    /// Things ahead of this one in the order.
    logic [7:0] ahead;
    assign ahead = 8'((i + COUNT - 1 - 32'(u_arbiter.last_q)) % COUNT);

    always_comb begin : fairness
      if (started_q && rst_ni) begin
        assume (!waits_q[i] || wants_i[i]);
        at_most_count_less_one_pass : assert (32'(others_q[i]) <= COUNT - 1);
      end
    end

    // What has gone before and what is still ahead are at most COUNT - 1 together.
    always_comb begin : strengthening
      if (started_q && rst_ni) begin
        order_is_within_range : assert (32'(u_arbiter.last_q) < COUNT);
        passed_and_ahead_are_few : assert (others_q[i] + ahead < 8'(COUNT));
        waiting_is_counted_from_its_begin : assert (waits_q[i] || others_q[i] == '0);
      end
    end
  end
endmodule

// The order of age. A waiter is never passed over by one that came later, so at most COUNT - 1 are chosen before it.
module oldest_fair #(
    parameter int unsigned COUNT = 3
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [COUNT-1:0] wants_i,
    input logic             open_i
);
  localparam int unsigned Width = COUNT > 1 ? $clog2(COUNT) : 1;

  logic             valid;
  logic [Width-1:0] index;

  oldest #(.COUNT(COUNT)) u_oldest (
      .clk_i, .rst_ni, .waits_i(wants_i), .take_i(open_i), .valid_o(valid), .index_o(index)
  );

  logic             started_q = 1'b0;
  logic [COUNT-1:0] waits_q;
  logic [COUNT-1:0] chosen;
  /// Age in cycles of waiting, as far as it tells who came first: who waited when another came.
  logic [COUNT-1:0] elder_q[COUNT];

  assign chosen = valid ? COUNT'(1) << index : '0;

  always_ff @(posedge clk_i) begin : ages
    started_q <= 1'b1;
    waits_q <= rst_ni ? wants_i & ~chosen : '0;
    for (int unsigned i = 0; i < COUNT; i++) begin
      elder_q[i] <= (waits_q[i] ? elder_q[i] : waits_q) & ~chosen;
    end
  end

  always_comb begin : properties
    assume (started_q || !rst_ni);
    if (started_q && rst_ni) begin
      assume ((waits_q & ~wants_i) == '0);
      somebody_is_chosen_exactly_when_somebody_waits : assert (valid == (open_i && wants_i != '0));
      the_one_that_is_chosen_waits : assert (!valid || (32'(index) < COUNT && wants_i[index]));
    end
  end

  for (genvar i = 0; i < COUNT; i++) begin : gen_requester
    always_comb begin : order
      if (started_q && rst_ni) begin
        nobody_is_chosen_before_its_elders :
        assert (!chosen[i] || ((waits_q[i] ? elder_q[i] : waits_q) & wants_i) == '0);
      end
    end
    always_comb begin : strengthening
      if (started_q && rst_ni) begin
        waiting_is_the_same : assert (u_oldest.waited_q == waits_q);
        elders_wait : assert (!waits_q[i] || (elder_q[i] & ~waits_q) == '0);
        elders_are_the_same : assert (!waits_q[i] || u_oldest.before_q[i] == elder_q[i]);
        nobody_is_its_own_elder : assert (!waits_q[i] || !elder_q[i][i]);
      end
    end
    for (genvar j = 0; j < COUNT; j++) begin : gen_other
      always_comb begin : strengthening
        if (started_q && rst_ni) begin
          no_two_are_elders_of_each_other :
          assert (!(waits_q[i] && waits_q[j] && elder_q[i][j] && elder_q[j][i]));
        end
      end
      for (genvar k = 0; k < COUNT; k++) begin : gen_third
        always_comb begin : strengthening
          if (started_q && rst_ni) begin
            elders_of_elders_are_elders :
            assert (!(waits_q[i] && elder_q[i][j] && elder_q[j][k]) || elder_q[i][k]);
          end
        end
      end
    end
  end
endmodule

module arbiter_formal (
    input logic        clk_i,
    input logic        rst_ni,
    input logic [14:0] wants_i,
    input logic [9:0]  age_wants_i,
    input logic        open_i
);
  for (genvar n = 1; n <= 5; n++) begin : gen_cyclic
    arbiter_fair #(.COUNT(n)) u_fair (.clk_i, .rst_ni, .wants_i(wants_i[n*(n-1)/2+:n]), .open_i);
  end
  for (genvar n = 1; n <= 4; n++) begin : gen_oldest
    oldest_fair #(.COUNT(n)) u_fair (.clk_i, .rst_ni, .wants_i(age_wants_i[n*(n-1)/2+:n]), .open_i);
  end
endmodule
