// Checks of one port's requests and responses as pairs: ids, and the requester's obligations.
//
// Contract: sections 3 (obligations of the requester) and 5 (responses).
// Counterpart: none; src/cosim checks the model's side.
//
// The ids of outstanding requests are kept beside the design's own queues. Responses come in any
// order, each to a request that is outstanding.
// Not proved here: that every request is answered at last.

module requester_sva
  import mmu_pkg::*;
#(
    /// Number of the port. Port 0 fetches; ports 1 and up read and write.
    parameter int unsigned PORT          = 0,
    /// Requests that may be outstanding, 1 to 16.
    parameter int unsigned QUEUE_ENTRIES = 4
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
    // The request that is accepted.
    /// A request is accepted.
    input  logic        accept_i,
    /// Its id.
    input  logic [7:0]  id_i,
    /// Bits 11:0 of its address.
    input  logic [11:0] page_offset_i,
    /// Its kind.
    input  logic [1:0]  kind_i,
    /// Its bytes.
    input  logic [6:0]  size_bytes_i,
    // The response that is transferred.
    /// A response is transferred.
    input  logic        respond_i,
    /// Its id.
    input  logic [7:0]  response_id_i
);

  localparam int unsigned IndexWidth = QUEUE_ENTRIES > 1 ? $clog2(QUEUE_ENTRIES) : 1;
  typedef logic [IndexWidth-1:0] index_t;

  logic [7:0]               id_q[QUEUE_ENTRIES];
  /// The element is the id of an outstanding request.
  logic [QUEUE_ENTRIES-1:0] used_q;

  logic   id_is_new;
  index_t free;
  logic   is_outstanding;
  index_t answered;

  always_comb begin : compare_ids
    id_is_new = 1'b1;
    free = '0;
    is_outstanding = 1'b0;
    answered = '0;
    if (accept_i) begin
      for (int unsigned i = 0; i < QUEUE_ENTRIES; i++) begin
        if (!used_q[i]) free = index_t'(i);
        else if (id_q[i] == id_i) id_is_new = 1'b0;
      end
    end
    if (respond_i) begin
      for (int unsigned i = 0; i < QUEUE_ENTRIES; i++) begin
        if (used_q[i] && id_q[i] == response_id_i) begin
          is_outstanding = 1'b1;
          answered = index_t'(i);
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin : ids
    if (!rst_ni) begin
      used_q <= '0;
    end else begin
      if (accept_i) begin
        id_q[free]   <= id_i;
        used_q[free] <= 1'b1;
      end
      if (respond_i && is_outstanding) used_q[answered] <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && accept_i) begin
      ids_of_outstanding_requests_differ :
      assert (id_is_new)
      else $error("port %0d: id %0d is outstanding already", PORT, id_i);

      a_request_fits_a_free_place :
      assert (!used_q[free])
      else $error("port %0d: more than %0d requests are outstanding", PORT, QUEUE_ENTRIES);

      a_request_has_1_to_64_bytes_within_one_page :
      assert (size_bytes_i >= 7'd1 && size_bytes_i <= 7'd64 &&
              13'(page_offset_i) + 13'(size_bytes_i) <= 13'd4096)
      else $error("port %0d: %0d bytes at offset %h", PORT, size_bytes_i, page_offset_i);

      port_0_fetches_and_the_others_read_and_write :
      assert (PORT == 0 ? kind_i == KindFetch : kind_i == KindRead || kind_i == KindWrite)
      else $error("port %0d: request of kind %0d", PORT, kind_i);
    end
    if (rst_ni && respond_i) begin
      a_response_answers_an_outstanding_request :
      assert (is_outstanding)
      else $error("port %0d: response to id %0d", PORT, response_id_i);
    end
  end

endmodule
