// The performance counters: what has happened since reset, by the kind of the request.
//
// Contract: section 10.2. Counterpart: src/model/performance_counters.rs.
//
// The counters of kind k (3) stand at 10 k to 10 k + 9; a prefetch has no kind, and is seen in what the
// walkers load alone. What is counted in a cycle shows from the next one on.

module performance_counters
  import mmu_pkg::*;
#(
    /// Page walkers, 1 to 4.
    parameter int unsigned WALKERS = 2
) (
    /// Clock.
    input  logic               clk_i,
    /// Synchronous reset, active low.
    input  logic               rst_ni,
    // From the walkers, the miss queue and the commit.
    /// A walker takes an entry in this cycle.
    input  logic               walk_take_i,
    /// Kind of its request.
    input  kind_e              walk_kind_i,
    /// The walks.
    input  walk_t              walk_i            [WALKERS],
    /// The walker commits START or DONE.
    input  logic [WALKERS-1:0] commit_walker_i,
    /// Size of the page, if what commits is a translation.
    input  page_size_e         commit_page_size_i,
    // From the STLB.
    /// A look-up of a request finds an entry that serves it,
    input  logic               stlb_hit_i,
    /// and this is the kind of the request,
    input  kind_e              stlb_kind_i,
    /// and this the size of the page.
    input  page_size_e         stlb_page_size_i,
    // From the memory port and control.
    /// A read is transferred.
    input  logic               load_i,
    /// An operation of control performs an invalidation.
    input  logic               invalidates_i,
    // To all.
    /// The counters.
    output logic [63:0]        perf_o            [PerfCounters]
);

  localparam int unsigned RequestKinds = 3;
  localparam int unsigned CountersOfKind = 10;
  typedef logic [4:0] counter_t;
  typedef logic [$clog2(WALKERS+1)-1:0] count_t;

  // Counters of a kind; those by size are the first of three.
  localparam counter_t Causes = 5'd0;
  localparam counter_t Completed = 5'd1;
  localparam counter_t Faulted = 5'd4;
  localparam counter_t Pending = 5'd5;
  localparam counter_t Active = 5'd6;
  localparam counter_t StlbHit = 5'd7;
  // Counters of the machine.
  localparam counter_t PageWalkerLoads = 5'd30;
  localparam counter_t TlbFlush = 5'd31;

  logic [63:0] perf_q[PerfCounters];
  assign perf_o = perf_q;

  /// A counter of a kind.
  function automatic counter_t of_kind(kind_e kind, counter_t counter);
    return counter_t'(CountersOfKind * 32'(kind)) + counter;
  endfunction

  /// A counter of a kind, of the three by the size of the page.
  function automatic counter_t of_size(kind_e kind, counter_t counter, page_size_e page_size);
    return of_kind(kind, counter) + counter_t'(size_bit(page_size));
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Walkers with a request, by kind, and the one that is DONE
  // ---------------------------------------------------------------------------------------------

  logic   walks;
  count_t walking[RequestKinds];
  logic   done;
  logic   done_translated;
  kind_e  done_kind;

  // The rest of a walk counts nowhere.
  logic [WALKERS-1:0] unused_walk;

  always_comb begin : find_walks
    walks = 1'b0;
    walking = '{default: '0};
    done = 1'b0;
    done_translated = 1'b0;
    done_kind = KindRead;
    for (int unsigned w = 0; w < WALKERS; w++) begin
      unused_walk[w] = ^walk_i[w];
      if (walk_i[w].walks && walk_i[w].owner != OwnerPrefetch) begin
        walks = 1'b1;
        walking[walk_i[w].kind] += count_t'(1);
        if (commit_walker_i[w] && walk_i[w].done) begin
          done = 1'b1;
          done_translated = walk_i[w].ending == WalkEndTranslated;
          done_kind = walk_i[w].kind;
        end
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The counters: nothing is written in a cycle in which nothing counts
  // ---------------------------------------------------------------------------------------------

  counter_t taken;
  counter_t ended;
  counter_t hit;
  assign taken = of_kind(walk_kind_i, Causes);
  assign ended = done_translated ? of_size(done_kind, Completed, commit_page_size_i) :
      of_kind(done_kind, Faulted);
  assign hit = of_size(stlb_kind_i, StlbHit, stlb_page_size_i);

  always_ff @(posedge clk_i) begin : count
    if (!rst_ni) begin
      perf_q <= '{default: '0};
    end else begin
      if (walk_take_i) perf_q[taken] <= perf_q[taken] + 64'd1;
      if (walks) begin
        if (done) perf_q[ended] <= perf_q[ended] + 64'd1;
        for (int unsigned k = 0; k < RequestKinds; k++) begin
          if (walking[k] != '0) begin
            perf_q[of_kind(kind_e'(k), Pending)] <= perf_q[of_kind(kind_e'(k), Pending)] +
                64'(walking[k]);
            perf_q[of_kind(kind_e'(k), Active)] <= perf_q[of_kind(kind_e'(k), Active)] + 64'd1;
          end
        end
      end
      if (stlb_hit_i) perf_q[hit] <= perf_q[hit] + 64'd1;
      if (load_i) perf_q[PageWalkerLoads] <= perf_q[PageWalkerLoads] + 64'd1;
      if (invalidates_i) perf_q[TlbFlush] <= perf_q[TlbFlush] + 64'd1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (walk_take_i || stlb_hit_i)) begin
      what_counts_has_a_kind :
      assert (32'(walk_kind_i) < RequestKinds && 32'(stlb_kind_i) < RequestKinds)
      else $error("a request of kind %0d walks, one of kind %0d hits", walk_kind_i, stlb_kind_i);
    end
  end
`endif

endmodule
